"""The users' policy as a permission set of IAM Identity Center, for people who are no IAM users.

It holds the policy itself, so that the accounts in which it is assigned need none of their own.
https://docs.aws.amazon.com/singlesignon/latest/userguide/permissionsetsconcept.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ec2tasks.admin.policy import Document, Rights, policy_document
from ec2tasks.admin.setup import Change, carry_out
from ec2tasks.aws.client import Aws
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError

SET_ARN = "PermissionSet.PermissionSetArn"


@dataclass(frozen=True, kw_only=True)
class SetState:
    """A permission set as it is: `instance` and `store` are Identity Center's own; `arn` None: there is none.

    `assigned`: accounts have it, so that a change must be brought there.
    """

    instance: str
    store: str
    arn: str | None = None
    policy: Document | None = None
    assigned: bool = False


def check_set(name: str, allowed: Rights) -> None:
    """Raise UsageError for what can't be such a name, and for an owner that nobody of Identity Center is."""
    # https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreatePermissionSet.html
    if not re.fullmatch(r"[\w+=,.@-]{1,32}", name, re.ASCII):
        raise UsageError(f"`{name}` is no name of a permission set", hint="--permission-set ec2tasks")
    if "${aws:username}" in allowed.owner:
        raise UsageError(
            "--owner '${aws:username}' lets in nobody of Identity Center, whose users are no IAM users",
            hint="--owner '${aws:PrincipalTag/UserName}', an attribute for access control: see docs/admin.md",
        )


def set_up(aws: Aws, name: str, allowed: Rights, *, dry: bool) -> None:
    """Bring the permission set to these rights, showing each change; if `dry`, only show them.

    Raises Failure where there is no Identity Center in the region.
    """
    state = read_set(aws, name)
    known = carry_out(aws, changes_needed(name, policy_document(allowed), state), dry=dry)
    arn = state.arn or known.get(SET_ARN)
    if arn and not dry:
        output.hint(
            f"`aws sso-admin create-account-assignment --region {aws.region} --instance-arn {state.instance}"
            f" --permission-set-arn {arn} --principal-type GROUP --principal-id GROUP_ID"
            " --target-type AWS_ACCOUNT --target-id ACCOUNT` lets a group into an account; `aws identitystore"
            f" list-groups --region {aws.region} --identity-store-id {state.store}` lists them"
        )


def read_set(aws: Aws, name: str) -> SetState:
    """The permission set of that name as it is now."""
    there = aws.sso_admin.list_instances()["Instances"]
    if not there:
        raise Failure(
            f"no IAM Identity Center in {aws.region}",
            hint="--region where it is, with credentials of the account that manages it",
        )
    instance, store = there[0]["InstanceArn"], there[0]["IdentityStoreId"]
    for arn in _sets(aws, instance):
        both = {"InstanceArn": instance, "PermissionSetArn": arn}
        if aws.sso_admin.describe_permission_set(**both)["PermissionSet"]["Name"] == name:
            text = aws.sso_admin.get_inline_policy_for_permission_set(**both).get("InlinePolicy")
            accounts = aws.sso_admin.list_accounts_for_provisioned_permission_set(**both)["AccountIds"]
            policy = json.loads(text) if text else None
            return SetState(instance=instance, store=store, arn=arn, policy=policy, assigned=bool(accounts))
    return SetState(instance=instance, store=store)


def _sets(aws: Aws, instance: str) -> Iterator[str]:
    pages = aws.sso_admin.get_paginator("list_permission_sets").paginate(InstanceArn=instance)
    return (arn for page in pages for arn in page["PermissionSets"])


def changes_needed(name: str, policy: Document, state: SetState) -> list[Change]:
    """The changes that lead from the permission set as it is to one with this policy, in their order."""
    if state.policy == policy:
        return []
    request: dict[str, Any] = {"InstanceArn": state.instance}
    made, needs = [], {}
    if state.arn is None:
        new = {**request, "Name": name, "Description": "ec2tasks: make's recipes on EC2"}
        made = [_change("create_permission_set", f"create permission set {name}", new, gives=SET_ARN)]
        needs = {"PermissionSetArn": SET_ARN}
    else:
        request["PermissionSetArn"] = state.arn
    line = f"put the policy into permission set {name}"
    put = _change(
        "put_inline_policy_to_permission_set",
        line,
        {**request, "InlinePolicy": json.dumps(policy)},
        needs=needs,
    )
    everywhere = {**request, "TargetType": "ALL_PROVISIONED_ACCOUNTS"}
    line = f"bring permission set {name} to the accounts that have it"
    brought = [_change("provision_permission_set", line, everywhere)] if state.assigned else []
    return [*made, put, *brought]


def _change(operation: str, line: str, request: dict[str, Any], **rest: Any) -> Change:
    return Change(line=line, service="sso_admin", operation=operation, request=request, **rest)
