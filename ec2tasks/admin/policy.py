"""The IAM policies that ec2tasks needs, as pure functions: each right, what it is for, and no more than that.

Statements are limited as far as AWS lets them be: by resource, and by the conditions that
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html lists per action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ec2tasks.aws.images import PARAMETERS
from ec2tasks.aws.instances import FETCHED_TAG, OWNER_TAG
from ec2tasks.aws.launch import DEFAULT_PROFILE
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
    after the IAM users.
    """

    features: frozenset[str] = frozenset(FEATURES)
    roles: tuple[str, ...] = (READ_ROLE, FULL_ROLE)
    owner: str = ANY_OWNER


def parse_rights(
    *, without: Iterable[str] = (), roles: Sequence[str] = (), owner: str | None = None
) -> Rights:
    """The Rights that the options of `admin.policy` mean.

    Raises UsageError for an unknown feature, or for what can't be the name of a role.
    """
    excluded = set(without)
    unknown = sorted(excluded - set(FEATURES))
    if unknown:
        raise UsageError(f"no feature `{unknown[0]}`", hint=f"one of: {', '.join(FEATURES)}")
    for role in roles:
        # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
        if not re.fullmatch(r"[\w+=,.@-]{1,64}", role, re.ASCII):
            raise UsageError(f"`{role}` is no name of a role", hint="`aws iam list-roles` lists them")
    named = tuple(dict.fromkeys(roles)) or (READ_ROLE, FULL_ROLE)
    return Rights(features=frozenset(FEATURES) - excluded, roles=named, owner=owner or ANY_OWNER)


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
        statements.append(_allow("ImportKey", ["ec2:ImportKeyPair"], [_ec2("key-pair")]))
    if "own-group" in granted.features:
        statements += _group_statements(granted)
    if "roles" in granted.features:
        statements += _role_statements(granted)
    return {"Version": VERSION, "Statement": statements}


def policy_text(granted: Rights) -> str:
    """The IAM policy for these rights as the JSON text that the AWS console and CLI take."""
    return json.dumps(policy_document(granted), indent=2)


def policy_size(document: Mapping[str, Any]) -> int:
    """The size of a policy in characters, as IAM counts them against its quota: without white space.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    return len("".join(json.dumps(document).split()))


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


def _allow(
    sid: str, allowed: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
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
    return _allow("Look", [*looks, *regions], ["*"])


def _images_statement() -> Statement:
    """Finding the newest image by its public parameter, which belongs to no account.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    return _allow("FindNewestImage", ["ssm:GetParametersByPath"], [f"arn:aws:ssm:*:*:parameter{PARAMETERS}*"])


def _prices_statement(granted: Rights) -> Statement:
    """What a launch will cost: AWS's public prices, which belong to no account.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awspricelist.html
    """
    spot = ["ec2:DescribeSpotPriceHistory"] if "spot" in granted.features else []
    return _allow("Prices", ["pricing:GetProducts", *spot], ["*"])


def _quotas_statement() -> Statement:
    """Whether the account's quotas of EC2 leave room, for `ec2tasks check`.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_servicequotas.html
    """
    return _allow("Quotas", ["servicequotas:GetServiceQuota"], ["arn:aws:servicequotas:*:*:ec2/*"])


def _launch_statements(granted: Rights) -> list[Statement]:
    """Launching: a right to every resource that it touches; only the instance itself carries conditions.

    An instance that does not say whose it is, or that answers the older metadata service, is refused.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html#iam-example-runinstances
    """
    spot = "spot" in granted.features
    market = {} if spot else {"ec2:InstanceMarketType": "on-demand"}
    tagged = {
        "StringLike": {f"aws:RequestTag/{OWNER_TAG}": granted.owner},
        "StringEquals": {"ec2:MetadataHttpTokens": "required", **market},
    }
    kinds = ["volume", "network-interface", "subnet", "security-group", "key-pair", "capacity-reservation"]
    parts = [_ec2(kind) for kind in (*kinds, *(["spot-instances-request"] if spot else []))]
    amazon = None if "any-image" in granted.features else {"StringEquals": {"ec2:Owner": "amazon"}}
    on_launch = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    tagged_kinds = ("instance", "volume", "network-interface")
    return [
        _allow("Launch", ["ec2:RunInstances"], [_ec2("instance")], tagged),
        _allow("LaunchImage", ["ec2:RunInstances"], [_ec2("image")], amazon),
        _allow("LaunchWith", ["ec2:RunInstances"], parts),
        _allow("TagAtLaunch", ["ec2:CreateTags"], [_ec2(kind) for kind in tagged_kinds], on_launch),
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
        _allow("OwnInstances", life, [_ec2("instance")], own),
        _allow("OwnDisks", ["ec2:DeleteVolume"], [_ec2("volume")], own),
        _allow("MarkFetched", ["ec2:CreateTags"], [_ec2("instance")], {**own, **only_fetched}),
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
        _allow("MakeGroup", ["ec2:CreateSecurityGroup"], group, making),
        _allow("MakeGroupIn", ["ec2:CreateSecurityGroup"], [_ec2("vpc")]),
        _allow("TagGroup", ["ec2:CreateTags"], group, on_making),
        _allow("OwnGroups", rules, group, made),
    ]


def _role_statements(granted: Rights) -> list[Statement]:
    """Lending roles: only these, and only to EC2, so that no user lends a mightier one to an instance.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    profiles = [f"arn:aws:iam::*:instance-profile/{name}" for name in granted.roles]
    passed = [f"arn:aws:iam::*:role/{name}" for name in granted.roles]
    to_ec2 = {"StringEquals": {"iam:PassedToService": EC2_SERVICE}}
    return [
        _allow("FindRole", ["iam:GetInstanceProfile"], profiles),
        _allow("LendRole", ["iam:PassRole"], passed, to_ec2),
    ]


def trust_document() -> Document:
    """The trust policy of a role: EC2 alone may assume it, for the instance that it was lent to.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2.html
    """
    statement = {"Effect": "Allow", "Principal": {"Service": EC2_SERVICE}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def bucket_document(buckets: Sequence[str], *, write: bool) -> Document:
    """The inline policy of a role for S3: read, or everything; in these buckets alone, where any are named.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    """
    arns = [arn for name in buckets for arn in (f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*")]
    return {
        "Version": VERSION,
        "Statement": [
            _allow("Buckets", ["s3:*"] if write else ["s3:Get*", "s3:List*"], arns or ["*"]),
        ],
    }


def check_buckets(names: Iterable[str]) -> tuple[str, ...]:
    """The names of S3 buckets, each once. Raises UsageError for a name that no bucket can have.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    buckets = tuple(dict.fromkeys(name.removeprefix("s3://").rstrip("/") for name in names))
    for name in buckets:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise UsageError(f"`{name}` is no name of a bucket", hint="`aws s3 ls` lists them")
    return buckets
