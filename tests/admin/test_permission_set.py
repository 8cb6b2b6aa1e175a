"""Users' rights as a permission set: pure decisions, then Identity Center from nothing to set up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.local_ec2 import start_local_ec2, tell_moto

from ec2tasks.admin.permission_set import SetState, changes_needed, check_set, read_set, set_up
from ec2tasks.admin.policy import parse_rights, policy_document
from ec2tasks.aws.client import ATTEMPTS, Aws
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure, UsageError

POLICY = policy_document(parse_rights())
NONE = SetState(instance="arn:aws:sso:::instance/i", store="d-1")
THERE = replace(NONE, arn="arn:aws:sso:::permissionSet/i/ps", policy=POLICY)


@pytest.mark.parametrize(
    ("state", "operations"),
    [
        (NONE, ["create_permission_set", "put_inline_policy_to_permission_set"]),
        (THERE, []),
        (replace(THERE, assigned=True), []),
        (replace(THERE, policy=None), ["put_inline_policy_to_permission_set"]),
        (
            replace(THERE, policy={"Statement": []}, assigned=True),
            ["put_inline_policy_to_permission_set", "provision_permission_set"],
        ),
    ],
)
def test_only_what_differs_is_changed_and_brought_to_the_accounts(
    state: SetState, operations: list[str]
) -> None:
    changes = changes_needed("ec2tasks", POLICY, state)
    assert [change.operation for change in changes] == operations
    assert all(change.request["InstanceArn"] == state.instance for change in changes)
    assert all("ec2tasks" in change.line for change in changes)


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "*"])
def test_what_is_no_name_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a permission set"):
        check_set(name, parse_rights())


def test_an_owner_by_the_iam_user_s_name_is_nobody_there() -> None:
    with pytest.raises(UsageError) as caught:
        check_set("ec2tasks", parse_rights(owner="${aws:username}"))
    assert "${aws:PrincipalTag/UserName}" in str(caught.value.hint)
    check_set("ec2tasks", parse_rights(owner="${aws:PrincipalTag/UserName}"))


class Nothing:
    def list_instances(self) -> dict[str, list[object]]:
        return {"Instances": []}


def test_a_region_without_identity_center_is_named() -> None:
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("sso-admin", ATTEMPTS): Nothing()})
    with pytest.raises(Failure, match="no IAM Identity Center in eu-central-1"):
        read_set(aws, "ec2tasks")


def test_a_set_from_nothing(module_local_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(endpoint=start_local_ec2(module_local_folder), region="eu-central-1")
    tell_moto(aws.endpoint, "/moto-api/reset")
    set_up(aws, "ec2tasks", parse_rights(), dry=True)
    assert capsys.readouterr().out.splitlines() == [
        "would create permission set ec2tasks",
        "would put the policy into permission set ec2tasks",
    ]
    assert read_set(aws, "ec2tasks").arn is None
    set_up(aws, "ec2tasks", parse_rights(), dry=False)
    said = capsys.readouterr().err
    made = read_set(aws, "ec2tasks")
    assert made.policy == POLICY
    assert f"--permission-set-arn {made.arn}" in said
    set_up(aws, "ec2tasks", parse_rights(types=["g4dn.*"]), dry=False)
    assert read_set(aws, "ec2tasks").policy == policy_document(parse_rights(types=["g4dn.*"]))
    assert aws.iam.list_groups()["Groups"] == []
