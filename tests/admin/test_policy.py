"""The policies as values: what they let a user do, and what not; scenarios/test_policy_rights uses them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.authorization import ACCOUNT, Demand, allowing
from support.repository import REPO

from ec2tasks.admin.policy import (
    FEATURES,
    FULL_ROLE,
    READ_ROLE,
    SIZE_LIMIT,
    actions,
    parse_rights,
    policy_document,
    policy_size,
    policy_text,
)
from ec2tasks.admin.roles import bucket_document, check_buckets
from ec2tasks.admin.setup import desired_setup
from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import OWNER_TAG
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import UsageError

REGION = "eu-central-1"
WHOLE = policy_document(parse_rights())
# AWS demands it of whoever passes a role, but no client ever calls it.
IMPLIED = {"iam:PassRole"}
# It takes no right: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
FREE = {"sts:GetCallerIdentity"}
# The packages whose calls no user makes: what sets the account up has an administrator's rights.
NO_USERS = {"admin", "local"}


def calls_in_the_package() -> set[str]:
    """Every call of AWS in the code of the stages, as an action."""
    paths = [path for path in (REPO / "ec2tasks").rglob("*.py") if path.parent.name not in NO_USERS]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {action for node in nodes for action in _called(node)}


def _called(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    call = re.fullmatch(r"(?:(?:\w+\.)*aws\.(?!made\.)(?P<service>\w+)|client)\.(?P<name>\w+)", called)
    if not call:
        return
    name = call["name"]
    if name in ("get_paginator", "get_waiter"):
        name = ast.literal_eval(node.args[0])
    yield f"{call['service'] or 'ec2'}:{''.join(word.capitalize() for word in name.split('_'))}"


def test_every_call_in_the_code_is_in_the_policy_and_nothing_else_is() -> None:
    assert calls_in_the_package() - FREE == set(actions(WHOLE)) - IMPLIED


def test_iam_takes_a_policy_of_that_size() -> None:
    roles = [f"{'r' * 60}{number:04}" for number in range(10)]
    limits = {"types": ["g4dn.*", "g5.*", "g6.*"], "regions": ["eu-central-1", "eu-west-1"], "keys": [KEY]}
    many = parse_rights(roles=roles, owner="${aws:username}")
    limited = parse_rights(owner="${aws:username}", partition="aws-us-gov", **limits)
    assert policy_size(policy_document(many)) <= SIZE_LIMIT
    assert policy_size(policy_document(limited)) <= SIZE_LIMIT


def test_a_policy_that_iam_would_not_take_is_refused_before() -> None:
    aws = Aws(endpoint=AWS, region=REGION)
    roles = [f"{'r' * 60}{number:04}" for number in range(20)]
    with pytest.raises(UsageError, match=rf"characters, and IAM takes {SIZE_LIMIT}"):
        desired_setup(aws, parse_rights(roles=roles))


@pytest.mark.parametrize(
    ("feature", "actions_gone"),
    [
        ("key-import", {"ec2:ImportKeyPair"}),
        (
            "own-group",
            {
                "ec2:CreateSecurityGroup",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:RevokeSecurityGroupIngress",
            },
        ),
        ("roles", {"iam:GetInstanceProfile", "iam:PassRole"}),
        ("all-regions", {"ec2:DescribeRegions"}),
        ("spot", {"ec2:DescribeSpotPriceHistory"}),
        ("any-image", set()),
    ],
)
def test_a_feature_left_out_takes_its_rights_along(feature: str, actions_gone: set[str]) -> None:
    less = policy_document(parse_rights(without=[feature]))
    assert set(actions(WHOLE)) - set(actions(less)) == actions_gone
    assert less != WHOLE


def test_all_features_are_tried_above() -> None:
    assert set(FEATURES) == {"key-import", "own-group", "roles", "all-regions", "spot", "any-image"}


@pytest.mark.parametrize(
    "given",
    [
        {"without": ["tea"]},
        {"roles": ["no role"]},
        {"roles": ["*"]},
        {"types": ["g4dn xlarge"]},
        {"regions": ["*"]},
        {"keys": ["alias/mine"]},
        {"keys": ["*"]},
    ],
)
def test_a_feature_role_or_limit_that_can_t_be_is_named(given: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match=r"`(tea|no role|\*|g4dn xlarge|alias/mine)`"):
        parse_rights(**given)  # type: ignore[arg-type]


def test_the_text_is_what_aws_reads() -> None:
    assert json.loads(policy_text(parse_rights())) == WHOLE


@pytest.mark.parametrize("name", ["", "A", "no", "has space", "s3://", "*", "b" * 64])
def test_what_is_no_bucket_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a bucket"):
        check_buckets([name])


def test_a_role_reads_or_writes_all_buckets_or_the_named_ones() -> None:
    names = check_buckets(["s3://data/", "data", "models"])
    (read,) = bucket_document(names, write=False)["Statement"]
    assert read["Action"] == ["s3:Get*", "s3:List*"]
    assert read["Resource"] == [f"arn:aws:s3:::{path}" for path in ("data", "data/*", "models", "models/*")]
    (write,) = bucket_document((), write=True)["Statement"]
    assert (write["Action"], write["Resource"]) == (["s3:*"], ["*"])


INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
GROUP = f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-1"
OURS = {f"aws:ResourceTag/{OWNER_TAG}": "nina"}
LAUNCH = {f"aws:RequestTag/{OWNER_TAG}": "nina", "ec2:MetadataHttpTokens": "required"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
TO_EC2 = {"iam:PassedToService": "ec2.amazonaws.com"}
IMAGE = f"arn:aws:ec2:{REGION}::image/ami-1"
KEY = "12345678-90ab-cdef-1234-567890abcdef"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY}"


@pytest.mark.parametrize(
    ("action", "resource", "context", "without"),
    [
        ("ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/Name": "database"}, ()),
        ("ec2:StopInstances", INSTANCE, {}, ()),
        ("ec2:RunInstances", INSTANCE, {"ec2:MetadataHttpTokens": "required"}, ()),
        ("ec2:RunInstances", INSTANCE, {**LAUNCH, "ec2:MetadataHttpTokens": "optional"}, ()),
        ("ec2:RunInstances", INSTANCE, {**LAUNCH, "ec2:InstanceMarketType": "spot"}, ("spot",)),
        ("ec2:RunInstances", IMAGE, {"ec2:Owner": "999999999999"}, ("any-image",)),
        ("ec2:CreateTags", INSTANCE, {"aws:TagKeys": [OWNER_TAG]}, ()),
        ("ec2:CreateTags", INSTANCE, {**OURS, "aws:TagKeys": ["ec2tasks:fetched", "Name"]}, ()),
        ("ec2:CreateTags", INSTANCE, OURS, ()),
        ("ec2:CreateTags", INSTANCE, {"aws:TagKeys": ["ec2tasks:fetched"]}, ()),
        ("ec2:CreateTags", GROUP, {"aws:TagKeys": ["ec2tasks"]}, ()),
        ("ec2:AuthorizeSecurityGroupIngress", GROUP, {"aws:ResourceTag/Name": "web"}, ()),
        ("ec2:CreateSecurityGroup", GROUP, {}, ()),
        ("iam:PassRole", f"{ROLE}/Administrator", TO_EC2, ()),
        ("iam:PassRole", f"{ROLE}/{READ_ROLE}", {"iam:PassedToService": "lambda.amazonaws.com"}, ()),
        ("iam:GetInstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/Other", {}, ()),
        ("ssm:GetParametersByPath", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/secrets", {}, ()),
        ("ec2:DeleteSecurityGroup", GROUP, {"aws:ResourceTag/ec2tasks": "nina"}, ()),
        ("ec2:ModifyInstanceAttribute", INSTANCE, OURS, ()),
        ("s3:GetObject", "*", {}, ()),
    ],
)
def test_what_a_user_may_not_do(
    action: str, resource: str, context: dict[str, Any], without: tuple[str, ...]
) -> None:
    document = policy_document(parse_rights(without=without))
    assert not allowing(document, Demand(action=action, resource=resource, context=context))


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("ec2:TerminateInstances", INSTANCE, OURS),
        ("ec2:RunInstances", INSTANCE, {**LAUNCH, "ec2:InstanceMarketType": "on-demand"}),
        ("ec2:RunInstances", IMAGE, {"ec2:Owner": "amazon"}),
        ("ec2:CreateTags", INSTANCE, {**OURS, "aws:TagKeys": ["ec2tasks:fetched"]}),
        ("iam:PassRole", f"{ROLE}/{FULL_ROLE}", TO_EC2),
    ],
)
def test_what_a_user_may_do_with_and_without_the_features(
    action: str, resource: str, context: dict[str, Any]
) -> None:
    demand = Demand(action=action, resource=resource, context=context)
    least = parse_rights(without=[feature for feature in FEATURES if feature != "roles"])
    assert allowing(WHOLE, demand)
    assert allowing(policy_document(least), demand)


def test_an_owner_may_be_asked_for() -> None:
    document = policy_document(parse_rights(owner="${aws:username}"))
    for name, count in (("nina", 1), ("otto", 0)):
        demand = Demand(action="ec2:StopInstances", resource=INSTANCE, context={**OURS, "aws:username": name})
        assert len(allowing(document, demand)) == count


@pytest.mark.parametrize(
    ("launched", "allowed"),
    [
        (("g4dn.xlarge", REGION), True),
        (("g5.2xlarge", REGION), True),
        (("g5.xlarge", REGION), False),
        (("g4dnx.xlarge", REGION), False),
        (("g4dn.xlarge", "us-east-1"), False),
    ],
)
def test_types_and_regions_limit_what_may_be_launched_and_nothing_else(
    launched: tuple[str, str], allowed: bool
) -> None:
    document = policy_document(parse_rights(types=["g4dn.*", "g5.2xlarge"], regions=[REGION, "eu-west-1"]))
    kind, region = launched
    of_launch = {**LAUNCH, "ec2:InstanceType": kind, "aws:RequestedRegion": region}
    demand = Demand(action="ec2:RunInstances", resource=INSTANCE, context=of_launch)
    assert bool(allowing(document, demand)) == allowed
    assert allowing(WHOLE, demand)
    elsewhere = INSTANCE.replace(REGION, "us-east-1")
    assert allowing(document, Demand(action="ec2:TerminateInstances", resource=elsewhere, context=OURS))


def test_a_key_is_for_disks_alone_and_for_ec2() -> None:
    by_ec2 = {"kms:ViaService": f"ec2.{REGION}.amazonaws.com"}
    for key in (KEY, KEY_ARN):
        document = policy_document(parse_rights(keys=[key]))
        assert actions(document)[: len(actions(WHOLE))] == actions(WHOLE)
        for action, context, allowed in (
            ("kms:Decrypt", by_ec2, True),
            ("kms:Decrypt", {}, False),
            ("kms:Decrypt", {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}, False),
            ("kms:CreateGrant", {**by_ec2, "kms:GrantIsForAWSResource": "true"}, True),
            ("kms:CreateGrant", by_ec2, False),
            ("kms:ScheduleKeyDeletion", by_ec2, False),
        ):
            assert (
                bool(allowing(document, Demand(action=action, resource=KEY_ARN, context=context))) == allowed
            )
        other = KEY_ARN.replace("567890abcdef", "000000000000")
        assert not allowing(document, Demand(action="kms:Decrypt", resource=other, context=by_ec2))


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_in_each_part_of_aws_the_arns_are_its_own(partition: str) -> None:
    document = policy_document(parse_rights(keys=[KEY], partition=partition))
    buckets = bucket_document(["data"], write=False, partition=partition)
    arns = [arn for one in (*document["Statement"], *buckets["Statement"]) for arn in one["Resource"]]
    assert {":".join(arn.split(":")[:2]) for arn in arns} == {"*", f"arn:{partition}"}
    (lend,) = [one for one in document["Statement"] if one["Sid"] == "LendRole"]
    passed = lend["Condition"]["StringEquals"]["iam:PassedToService"]
    assert ("ec2.amazonaws.com.cn" in passed) == (partition == "aws-cn")
    if partition == "aws":
        assert {**document, "Statement": document["Statement"][: len(WHOLE["Statement"])]} == WHOLE


def test_no_arn_in_the_code_is_of_one_part_of_aws_alone() -> None:
    """What stands as `arn:aws:` is written where `in_partition` turns it into each part's."""
    paths = [path for path in (REPO / "ec2tasks").rglob("*.py") if path.parent.name != "local"]
    named = {path.name for path in paths if "arn:aws:" in path.read_text(encoding="utf-8")}
    assert named == {"policy.py", "roles.py"}


def test_a_role_not_named_is_not_lent() -> None:
    document = policy_document(parse_rights(roles=[READ_ROLE]))
    assert allowing(document, Demand(action="iam:PassRole", resource=f"{ROLE}/{READ_ROLE}", context=TO_EC2))
    assert not allowing(
        document, Demand(action="iam:PassRole", resource=f"{ROLE}/{FULL_ROLE}", context=TO_EC2)
    )


def test_the_administrator_s_page_tells_of_every_right_and_feature() -> None:
    page = (REPO / "docs" / "admin.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`((?:ec2|iam|ssm|pricing|servicequotas):\w+)`", rows)) == set(actions(WHOLE))
    assert [name for name in FEATURES if f"| `{name}` |" not in rows] == []
    with_key = set(actions(policy_document(parse_rights(keys=[KEY])))) - set(actions(WHOLE))
    assert set(re.findall(r"`(kms:\w+)`", rows)) == with_key
