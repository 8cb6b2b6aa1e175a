from __future__ import annotations

import json
from typing import Any

import pytest
from support.values import client_error

from ec2tasks.admin.account import Account, RoleState, read_account
from ec2tasks.admin.policy import POLICY_NAME, READ_ROLE
from ec2tasks.admin.roles import trust_document
from ec2tasks.aws.client import ATTEMPTS, Aws
from ec2tasks.base.endpoint import AWS

ARN = f"arn:aws:iam::123456789012:policy/{POLICY_NAME}"
VERSIONS = [{"VersionId": f"v{number}", "IsDefaultVersion": number == 11} for number in (11, 10, 9)]


class Iam:
    """IAM that holds the policy in three versions and a role, and nothing else of a set-up."""

    def get_paginator(self, operation: str) -> Iam:
        assert operation == "list_policies"
        return self

    def paginate(self, **_request: object) -> list[dict[str, Any]]:
        return [{"Policies": [{"PolicyName": "other", "Arn": "x"}, {"PolicyName": POLICY_NAME, "Arn": ARN}]}]

    def list_policy_versions(self, **_request: object) -> dict[str, Any]:
        return {"Versions": VERSIONS}

    def get_policy_version(self, *, VersionId: str, **_request: object) -> dict[str, Any]:  # noqa: N803  # boto3's
        return {"PolicyVersion": {"Document": json.dumps({"Statement": VersionId})}}

    def get_role(self, **_request: object) -> dict[str, Any]:
        return {"Role": {"AssumeRolePolicyDocument": trust_document()}}

    def list_roles(self, **_request: object) -> dict[str, Any]:
        return {"Roles": []}

    def get_group(self, **_request: object) -> dict[str, Any]:
        raise client_error("NoSuchEntity")

    get_role_policy = get_instance_profile = get_group


class Forbidden(Iam):
    def get_group(self, **_request: object) -> dict[str, Any]:
        raise client_error("AccessDenied", operation="GetGroup")


def account(iam: Iam) -> Account:
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("iam", ATTEMPTS): iam})
    return read_account(aws, roles=[READ_ROLE], with_group=False)


def test_what_does_not_exist_is_none() -> None:
    account_read = account(Iam())
    assert (account_read.attached, account_read.has_spot_role, account_read.security_group) == (
        None,
        False,
        None,
    )
    assert account_read.roles == {READ_ROLE: RoleState(trust=trust_document())}


def test_the_versions_that_are_not_in_force_come_oldest_first() -> None:
    policy = account(Iam()).policy
    assert policy
    assert (policy.arn, policy.versions) == (ARN, ("v9", "v10"))
    assert policy.document == {"Statement": "v11"}


def test_what_may_not_be_read_is_no_absence() -> None:
    with pytest.raises(Exception, match="AccessDenied"):
        account(Forbidden())
