"""What `admin.setup` reads, decides and does: pure decisions, then an account from nothing to set up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.local_ec2 import faults, start_local_ec2, tell_moto

from ec2tasks.admin.account import Account, PolicyState, RoleState, read_account
from ec2tasks.admin.policy import (
    FULL_ROLE,
    POLICY_NAME,
    READ_ROLE,
    parse_rights,
    policy_document,
)
from ec2tasks.admin.roles import bucket_document, trust_document
from ec2tasks.admin.setup import DesiredSetup, changes_needed, check_networks, desired_setup, setup
from ec2tasks.aws.client import Aws
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.aws.security_groups import SHARED_GROUP, security_group
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure, UsageError

READ, ALL = bucket_document((), write=False), bucket_document((), write=True)
ARN = f"arn:aws:iam::123456789012:policy/{POLICY_NAME}"
DESIRED = DesiredSetup(
    policy=policy_document(parse_rights()),
    roles={READ_ROLE: READ, FULL_ROLE: ALL},
    networks=(),
    port=22,
    spot=True,
)
POLICY = PolicyState(arn=ARN, document=DESIRED.policy, versions=())
COMPLETE = Account(
    policy=POLICY,
    attached=(ARN,),
    roles={
        name: RoleState(trust=trust_document(), rights=given, profile_roles=(name,))
        for name, given in DESIRED.roles.items()
    },
    has_spot_role=True,
)
WITH_NETWORKS = replace(DESIRED, networks=("192.0.2.0/24", "2001:db8::/32"))


def lines(desired: DesiredSetup, account: Account) -> list[str]:
    return [change.line for change in changes_needed(desired, account)]


def role(**changed: Any) -> Account:
    """A finished account, but for this of its reading role."""
    return replace(
        COMPLETE, roles={**COMPLETE.roles, READ_ROLE: replace(COMPLETE.roles[READ_ROLE], **changed)}
    )


def test_where_all_is_there_nothing_is_done() -> None:
    assert lines(DESIRED, COMPLETE) == []


def test_from_nothing_everything_is_made_in_an_order_that_works() -> None:
    assert lines(WITH_NETWORKS, Account(vpc="vpc-1")) == [
        "create policy SshEc2Access",
        "create group SshEc2",
        "attach policy SshEc2Access to group SshEc2",
        "create role EC2ReadOnlyAccessToS3, for EC2 instances",
        "give role EC2ReadOnlyAccessToS3 read-only access to all of S3",
        "create instance profile EC2ReadOnlyAccessToS3",
        "put role EC2ReadOnlyAccessToS3 into instance profile EC2ReadOnlyAccessToS3",
        "create role EC2FullAccessToS3, for EC2 instances",
        "give role EC2FullAccessToS3 full access to all of S3",
        "create instance profile EC2FullAccessToS3",
        "put role EC2FullAccessToS3 into instance profile EC2FullAccessToS3",
        "create role AWSServiceRoleForEC2Spot, which AWS needs to launch at the spot price",
        "create security group SshEC2 in vpc-1",
        "open port 22 of security group SshEC2 to 192.0.2.0/24",
        "open port 22 of security group SshEC2 to 2001:db8::/32",
    ]


@pytest.mark.parametrize(
    ("account", "line"),
    [
        (replace(COMPLETE, attached=()), "attach policy SshEc2Access to group SshEc2"),
        (
            role(rights=None),
            "give role EC2ReadOnlyAccessToS3 read-only access to all of S3",
        ),
        (role(profile_roles=()), f"put role {READ_ROLE} into instance profile {READ_ROLE}"),
        (replace(COMPLETE, has_spot_role=False), "create role AWSServiceRoleForEC2Spot"),
    ],
)
def test_what_is_missing_is_made(account: Account, line: str) -> None:
    (shown,) = lines(DESIRED, account)
    assert shown.startswith(line)


@pytest.mark.parametrize(
    ("others", "deleted"), [((), []), (("v1", "v2", "v3"), []), (("v2", "v3", "v4", "v5"), ["v2"])]
)
def test_a_changed_policy_gets_a_new_version_and_the_oldest_makes_room(
    others: tuple[str, ...], deleted: list[str]
) -> None:
    old = replace(POLICY, document={"Version": "2012-10-17", "Statement": []}, versions=others)
    *before, last = changes_needed(DESIRED, replace(COMPLETE, policy=old))
    assert [change.request["VersionId"] for change in before] == deleted
    assert last.operation == "create_policy_version"
    assert last.request["SetAsDefault"]


def test_a_role_that_serves_others_too_goes_on_serving_them() -> None:
    theirs = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    (change,) = changes_needed(DESIRED, role(trust={"Version": "2012-10-17", "Statement": theirs}))
    statements = json.loads(change.request["PolicyDocument"])["Statement"]
    assert statements == [theirs, *trust_document()["Statement"]]
    both = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}}
    assert changes_needed(DESIRED, role(trust={"Statement": [both]})) == []


def test_an_instance_profile_with_another_role_is_left_and_named() -> None:
    with pytest.raises(Failure, match="holds another role, `theirs`"):
        changes_needed(DESIRED, role(profile_roles=("theirs",)))


def test_named_buckets_replace_the_rights_of_before() -> None:
    desired = replace(DESIRED, roles={READ_ROLE: bucket_document(("data", "models"), write=False)})
    assert lines(desired, COMPLETE) == [f"give role {READ_ROLE} read-only access to s3://data, s3://models"]


def test_a_network_that_is_no_longer_named_is_closed_and_none_named_changes_nothing() -> None:
    account = replace(
        COMPLETE, vpc="vpc-1", security_group="sg-1", networks=("192.0.2.0/24", "198.51.100.7/32")
    )
    assert lines(WITH_NETWORKS, account) == [
        "close port 22 of security group SshEC2 to 198.51.100.7/32",
        "open port 22 of security group SshEC2 to 2001:db8::/32",
    ]
    assert lines(DESIRED, account) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("here", "no network"),
        ("192.0.2.1/24", "no network"),
        ("0.0.0.0/0", "whole internet"),
        ("::/0", "whole"),
    ],
)
def test_what_is_no_network_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_networks([text])


def test_an_address_is_a_network_of_one() -> None:
    assert check_networks(["192.0.2.1", "192.0.2.1/32"]) == ("192.0.2.1/32",)


def test_features_left_out_are_not_set_up() -> None:
    aws = Aws(endpoint=AWS, region="eu-central-1")
    least = desired_setup(aws, parse_rights(without=["roles", "spot"]))
    assert (least.roles, least.spot) == ({}, False)
    fewer = desired_setup(aws, parse_rights(roles=[READ_ROLE, "theirs"]))
    assert list(fewer.roles) == [READ_ROLE]


# On the local EC2.


@pytest.fixture(scope="module")
def own(module_local_folder: Path) -> Aws:
    """A local EC2 of these tests' own: what they set up is one per account."""
    return Aws(endpoint=start_local_ec2(module_local_folder), region="eu-central-1")


@pytest.fixture
def bare(own: Aws) -> Aws:
    """An account with nothing of an administrator's."""
    tell_moto(own.endpoint, "/moto-api/reset")
    return own


def seen(aws: Aws, desired: DesiredSetup) -> Account:
    return read_account(aws, roles=desired.roles, with_group=bool(desired.networks))


def test_an_account_from_nothing_to_set_up(bare: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    desired = desired_setup(bare, parse_rights(), networks=["192.0.2.0/24", "2001:db8::/32"])
    planned = lines(desired, seen(bare, desired))
    setup(bare, desired, dry=True)
    assert capsys.readouterr().out.splitlines() == [f"would {line}" for line in planned]
    assert lines(desired, seen(bare, desired)) == planned

    setup(bare, desired, dry=False)
    shown = capsys.readouterr().err.splitlines()
    assert shown[:-2] == [f"ec2: {line}" for line in planned]
    assert "--bucket NAME limits that" in shown[-2]
    assert "aws iam add-user-to-group --group-name SshEc2" in shown[-1]
    assert lines(desired, seen(bare, desired)) == []
    setup(bare, desired, dry=False)
    assert "nothing to change" in capsys.readouterr().err

    vpc = usable_subnets(bare)[0].vpc
    group_id = security_group(bare, None, owner="nina", vpc=vpc)
    (group,) = bare.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert group["GroupName"] == SHARED_GROUP
    assert not group.get("Tags")

    _changes(bare, desired)


def test_what_was_just_made_may_not_show_yet(
    bare: Aws, module_local_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults(module_local_folder, lag=1.5)
    try:
        desired = desired_setup(bare, parse_rights(), networks=["192.0.2.0/24"])
        setup(bare, desired, dry=False)
    finally:
        faults(module_local_folder)
    assert "AWS does not know EC2FullAccessToS3 everywhere yet: asking again" in capsys.readouterr().err
    assert lines(desired, seen(bare, desired)) == []


def _changes(aws: Aws, desired: DesiredSetup) -> None:
    """What changes later, on an account that is set up."""
    for number in range(7):
        changed = replace(desired, policy=policy_document(parse_rights(roles=[READ_ROLE, f"role-{number}"])))
        setup(aws, changed, dry=False)
        assert seen(aws, changed).policy == PolicyState(
            arn=ARN,
            document=changed.policy,
            versions=tuple(f"v{version}" for version in range(max(1, number - 2), number + 2)),
        )
    buckets = desired_setup(aws, parse_rights(), buckets=["data"], networks=["198.51.100.0/24"])
    setup(aws, buckets, dry=False)
    account = seen(aws, buckets)
    assert account.roles[READ_ROLE].rights == bucket_document(["data"], write=False)
    assert account.networks == ("198.51.100.0/24",)
    assert lines(buckets, account) == []


def test_what_stands_there_by_hand_is_kept_and_completed(bare: Aws) -> None:
    bare.iam.create_group(GroupName="SshEc2")
    trust = json.dumps(trust_document())
    bare.iam.create_role(RoleName=READ_ROLE, AssumeRolePolicyDocument=trust)
    bare.iam.put_role_policy(RoleName=READ_ROLE, PolicyName="old", PolicyDocument=json.dumps(READ))
    desired = desired_setup(bare, parse_rights())
    assert "create group SshEc2" not in lines(desired, seen(bare, desired))
    setup(bare, desired, dry=False)
    assert lines(desired, seen(bare, desired)) == []
    assert bare.iam.list_role_policies(RoleName=READ_ROLE)["PolicyNames"] == ["old", "S3"]
