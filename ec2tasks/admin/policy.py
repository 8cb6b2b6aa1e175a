"""The IAM policies that ec2tasks needs, as pure functions: each right, what it is for, and no more than that.

Statements are limited as far as AWS lets them be: by resource, and by the conditions that
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html lists per action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ec2tasks.aws.images import PARAMETERS
from ec2tasks.aws.instances import FETCHED_TAG, OWNER_TAG
from ec2tasks.aws.launch import DEFAULT_PROFILE
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError

Document = dict[str, Any]
Statement = dict[str, Any]

POLICY_NAME = "SshEc2Access"
GROUP_TAG = "ec2tasks"  # on the security groups that ec2tasks makes
READ_ROLE = DEFAULT_PROFILE
FULL_ROLE = "EC2FullAccessToS3"
VERSION = "2012-10-17"
EC2_SERVICE = "ec2.amazonaws.com"
ANY_OWNER = "*"
# Characters of a policy: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SIZE_LIMIT = 6144
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
ROLE_NAME = r"[\w+=,.@-]{1,64}"
TYPE_PATTERN = r"[a-z0-9*?-]{1,20}(\.[a-z0-9*?-]{1,20})?"
REGION_NAME = r"[a-z]{2,4}(-[a-z]+)+-\d+"
# An alias names no key here: https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
KEY = r"(arn:[\w-]+:kms:[a-z0-9-]+:\d{12}:key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
FEATURES = {
    "key-import": "import the public half of a user's key where the region has no key pair of that name",
    "own-group": "make a security group per user, open to that user's address alone",
    "roles": "give instances a role, so that they reach S3 with no credentials on them",
    "all-regions": "`ec2tasks ls --all-regions`, `ec2tasks reap --all-regions`",
    "spot": "launch at the spot price",
    "any-image": "launch images that are not Amazon's, named by their id",
}


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the users of ec2tasks may do in the account.

    `features` are names of FEATURES; `roles` the roles, and instance profiles of the same names, that an
    instance may be given; `owner` limits the instances and groups that a user may touch to those whose owner
    (the key name of who launched them) matches: `*` for any, `${aws:username}` where key pairs are named
    after the IAM users. `types` (`g4dn.*`) and `regions` limit what may be launched, none to nothing; `keys`
    are the KMS keys with which disks are encrypted. `partition` is the part of AWS that the account is in.
    """

    features: frozenset[str] = frozenset(FEATURES)
    roles: tuple[str, ...] = (READ_ROLE, FULL_ROLE)
    owner: str = ANY_OWNER
    types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    partition: str = "aws"


def parse_rights(
    *,
    without: Iterable[str] = (),
    roles: Sequence[str] = (),
    owner: str | None = None,
    types: Iterable[str] = (),
    regions: Iterable[str] = (),
    keys: Iterable[str] = (),
    partition: str = "aws",
) -> Rights:
    """The Rights that the options of `admin.policy` mean.

    Raises UsageError for an unknown feature, and for what can't be the name of a role, type, region or key.
    """
    excluded = set(without)
    unknown = sorted(excluded - set(FEATURES))
    if unknown:
        raise UsageError(f"no feature `{unknown[0]}`", hint=f"one of: {', '.join(FEATURES)}")
    return Rights(
        features=frozenset(FEATURES) - excluded,
        roles=_each(roles, ROLE_NAME, "name of a role", "`aws iam list-roles` lists them")
        or (READ_ROLE, FULL_ROLE),
        owner=owner or ANY_OWNER,
        types=_each(types, TYPE_PATTERN, "instance type", "--type g4dn.xlarge, --type 'g5.*'"),
        regions=_each(regions, REGION_NAME, "region", "--only-region eu-central-1"),
        keys=tuple(_key_arn(key) for key in _each(keys, KEY, "key of KMS", "`aws kms list-keys` lists them")),
        partition=partition,
    )


def _each(words: Iterable[str], form: str, kind: str, hint: str) -> tuple[str, ...]:
    """These words, each once. Raises UsageError for one that is not of the form."""
    for word in words:
        if not re.fullmatch(form, word, re.ASCII):
            raise UsageError(f"`{word}` is no {kind}", hint=hint)
    return tuple(dict.fromkeys(words))


def _key_arn(key: str) -> str:
    return key if key.startswith("arn:") else f"arn:aws:kms:*:*:key/{key}"


def policy_document(granted: Rights) -> Document:
    """The IAM policy `SshEc2Access`: every call of AWS that ec2tasks makes for these rights, and no other."""
    statements = [
        _look_statement(granted),
        _images_statement(),
        _prices_statement(granted),
        _quotas_statement(),
        *_launch_statements(granted),
        *_life_statements(granted),
    ]
    if "key-import" in granted.features:
        statements.append(allow("ImportKey", ["ec2:ImportKeyPair"], [_ec2("key-pair")]))
    if "own-group" in granted.features:
        statements += _group_statements(granted)
    if "roles" in granted.features:
        statements += _role_statements(granted)
    if granted.keys:
        statements += _key_statements(granted)
    return in_partition({"Version": VERSION, "Statement": statements}, granted.partition)


def in_partition(document: Document, partition: str) -> Document:
    """The same policy for another part of AWS, whose ARNs begin otherwise: China, GovCloud, Europe's own.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    statements = [
        {
            **statement,
            "Resource": [re.sub("^arn:aws:", f"arn:{partition}:", one) for one in statement["Resource"]],
        }
        for statement in document["Statement"]
    ]
    return {**document, "Statement": statements}


def policy_text(granted: Rights) -> str:
    """The IAM policy for these rights as the JSON text that the AWS console and CLI take."""
    return json.dumps(policy_document(granted), indent=2)


def policy_size(document: Mapping[str, Any]) -> int:
    """The size of a policy in characters, as IAM counts them against its quota: without white space."""
    return len("".join(json.dumps(document).split()))


def check_size(document: Mapping[str, Any]) -> None:
    """Raise UsageError for a policy that IAM would not take; a permission set takes a larger one."""
    if (size := policy_size(document)) > SIZE_LIMIT:
        raise UsageError(
            f"the policy has {size} characters, and IAM takes {SIZE_LIMIT}",
            hint="fewer of --role, --type, --only-region and --kms-key, or several in one pattern",
        )


def actions(document: Mapping[str, Any]) -> list[str]:
    """The actions that a policy allows (`ec2:RunInstances`), in its order, each once."""
    return list(
        dict.fromkeys(action for statement in document["Statement"] for action in statement["Action"])
    )


def without_action(document: Mapping[str, Any], action: str) -> Document:
    """The same policy without one action."""
    statements = [
        {**statement, "Action": [kept for kept in statement["Action"] if kept != action]}
        for statement in document["Statement"]
    ]
    return {**document, "Statement": [statement for statement in statements if statement["Action"]]}


def _ec2(kind: str) -> str:
    """The ARN of all the account's EC2 resources of a kind, in any region."""
    account = "" if kind in ("image", "snapshot") else "*"
    return f"arn:aws:ec2:*:{account}:{kind}/*"


def allow(
    sid: str, allowed: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    """The statement that allows these actions on these resources, where the condition holds."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(allowed), "Resource": list(resources)}
    return {**statement, "Condition": dict(condition)} if condition else statement


def _look_statement(granted: Rights) -> Statement:
    """Describing; AWS limits these actions to no resources: one may describe all or nothing."""
    regions = ["ec2:DescribeRegions"] if "all-regions" in granted.features else []
    looks = [
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeImages",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeKeyPairs",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVolumes",
        "ec2:DescribeAddresses",
    ]
    return allow("Look", [*looks, *regions], ["*"])


def _images_statement() -> Statement:
    """Finding the newest image by its public parameter, which belongs to no account.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    return allow("FindNewestImage", ["ssm:GetParametersByPath"], [f"arn:aws:ssm:*:*:parameter{PARAMETERS}*"])


def _prices_statement(granted: Rights) -> Statement:
    """What a launch will cost: AWS's public prices, which belong to no account.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awspricelist.html
    """
    spot = ["ec2:DescribeSpotPriceHistory"] if "spot" in granted.features else []
    return allow("Prices", ["pricing:GetProducts", *spot], ["*"])


def _quotas_statement() -> Statement:
    """Whether the account's quotas of EC2 leave room, for `ec2tasks check`.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_servicequotas.html
    """
    return allow("Quotas", ["servicequotas:GetServiceQuota"], ["arn:aws:servicequotas:*:*:ec2/*"])


def _launch_statements(granted: Rights) -> list[Statement]:
    """Launching: a right to every resource that it touches; only the instance itself carries conditions.

    An instance that does not say whose it is, or that answers the older metadata service, is refused.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html#iam-example-runinstances
    """
    spot = "spot" in granted.features
    market = {} if spot else {"ec2:InstanceMarketType": "on-demand"}
    types = {"ec2:InstanceType": list(granted.types)} if granted.types else {}
    regions = {"aws:RequestedRegion": list(granted.regions)} if granted.regions else {}
    tagged = {
        "StringLike": {f"aws:RequestTag/{OWNER_TAG}": granted.owner, **types},
        "StringEquals": {"ec2:MetadataHttpTokens": "required", **market, **regions},
    }
    kinds = ["volume", "network-interface", "subnet", "security-group", "key-pair", "capacity-reservation"]
    parts = [_ec2(kind) for kind in (*kinds, *(["spot-instances-request"] if spot else []))]
    amazon = None if "any-image" in granted.features else {"StringEquals": {"ec2:Owner": "amazon"}}
    on_launch = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    tagged_kinds = ("instance", "volume", "network-interface")
    return [
        allow("Launch", ["ec2:RunInstances"], [_ec2("instance")], tagged),
        allow("LaunchImage", ["ec2:RunInstances"], [_ec2("image")], amazon),
        allow("LaunchWith", ["ec2:RunInstances"], parts),
        allow("TagAtLaunch", ["ec2:CreateTags"], [_ec2(kind) for kind in tagged_kinds], on_launch),
    ]


def _life_statements(granted: Rights) -> list[Statement]:
    """Ending and starting instances and disks of ec2tasks alone; and the one tag that instances get later."""
    own = {"StringLike": {f"aws:ResourceTag/{OWNER_TAG}": granted.owner}}
    only_fetched = {
        "ForAllValues:StringEquals": {"aws:TagKeys": [FETCHED_TAG]},
        # Without a tag in the request, "all values" would hold of none.
        "Null": {"aws:TagKeys": "false"},
    }
    life = ["ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances", "ec2:GetConsoleOutput"]
    return [
        allow("OwnInstances", life, [_ec2("instance")], own),
        allow("OwnDisks", ["ec2:DeleteVolume"], [_ec2("volume")], own),
        allow("MarkFetched", ["ec2:CreateTags"], [_ec2("instance")], {**own, **only_fetched}),
    ]


def _group_statements(granted: Rights) -> list[Statement]:
    """Making security groups, which carry the tag of ec2tasks from then on; no other can get it afterwards.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    making = {"StringLike": {f"aws:RequestTag/{GROUP_TAG}": granted.owner}}
    made = {"StringLike": {f"aws:ResourceTag/{GROUP_TAG}": granted.owner}}
    on_making = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}
    rules = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    group = [_ec2("security-group")]
    return [
        allow("MakeGroup", ["ec2:CreateSecurityGroup"], group, making),
        allow("MakeGroupIn", ["ec2:CreateSecurityGroup"], [_ec2("vpc")]),
        allow("TagGroup", ["ec2:CreateTags"], group, on_making),
        allow("OwnGroups", rules, group, made),
    ]


def _role_statements(granted: Rights) -> list[Statement]:
    """Lending roles: only these, and only to EC2, so that no user lends a mightier one to an instance.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    profiles = [f"arn:aws:iam::*:instance-profile/{name}" for name in granted.roles]
    passed = [f"arn:aws:iam::*:role/{name}" for name in granted.roles]
    # In China AWS names its services in either way: a policy must know both.
    services = EC2_SERVICE if granted.partition != "aws-cn" else [EC2_SERVICE, f"{EC2_SERVICE}.cn"]
    to_ec2 = {"StringEquals": {"iam:PassedToService": services}}
    return [
        allow("FindRole", ["iam:GetInstanceProfile"], profiles),
        allow("LendRole", ["iam:PassRole"], passed, to_ec2),
    ]


def _key_statements(granted: Rights) -> list[Statement]:
    """Having EC2 encrypt disks with keys of the account's own, and open them at a start; nothing but EC2.

    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-permissions
    """
    used = ("Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo")
    by_ec2 = {"StringLike": {"kms:ViaService": "ec2.*"}}
    for_disks = {**by_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        allow("UseKey", [f"kms:{name}" for name in used], granted.keys, by_ec2),
        allow("LendKey", ["kms:CreateGrant"], granted.keys, for_disks),
    ]
