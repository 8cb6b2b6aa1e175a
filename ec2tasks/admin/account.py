"""What the AWS account already has of an administrator's set-up: read, never changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from ec2tasks.admin.policy import POLICY_NAME, Document
from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.aws.security_groups import SHARED_GROUP, find_groups
from ec2tasks.aws.ssh_rules import openings
from ec2tasks.base.dataclass import dataclass

USER_GROUP = "SshEc2"
INLINE_NAME = "S3"
RULE_MARK = "ec2tasks admin.setup"
SPOT_SERVICE = "spot.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class PolicyState:
    """The IAM policy as it is; `versions` are the ids of the versions that are not in force, oldest first."""

    arn: str
    document: Document
    versions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoleState:
    """An IAM role as it is: None for what does not exist; `profile_roles` those in its instance profile."""

    trust: Document | None = None
    rights: Document | None = None
    profile_roles: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Account:
    """What exists in the account.

    `attached` are the ARNs of the user group's policies, None where there is no such group; `networks` those
    that the security group lets in by rules that admin.setup made.
    """

    policy: PolicyState | None = None
    attached: tuple[str, ...] | None = None
    roles: Mapping[str, RoleState] = field(default_factory=dict)
    has_spot_role: bool = False
    vpc: str | None = None
    security_group: str | None = None
    networks: tuple[str, ...] = ()


def read_account(aws: Aws, *, roles: Iterable[str], with_group: bool) -> Account:
    """What the account has now: policy, user group, these roles, the security group only `with_group`."""
    vpc = usable_subnets(aws)[0].vpc if with_group else None
    group = find_groups(aws, [SHARED_GROUP], vpc).get(SHARED_GROUP) if vpc else None
    return Account(
        policy=_policy(aws),
        attached=_attached(aws),
        roles={name: _role(aws, name) for name in roles},
        has_spot_role=_has_spot_role(aws),
        vpc=vpc,
        security_group=group["GroupId"] if group else None,
        # What others wrote there is theirs.
        networks=tuple(
            one.network
            for one in (openings(group) if group else ())
            if (one.description, one.port) == (RULE_MARK, aws.endpoint.ssh_port)
        ),
    )


def _or_none(ask: Callable[[], Any]) -> Any:
    """IAM's answer; None where the entity does not exist."""
    try:
        return ask()
    except Exception as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def _policy(aws: Aws) -> PolicyState | None:
    pages = aws.iam.get_paginator("list_policies").paginate(Scope="Local")
    arns = [
        policy["Arn"] for page in pages for policy in page["Policies"] if policy["PolicyName"] == POLICY_NAME
    ]
    if not arns:
        return None
    versions = aws.iam.list_policy_versions(PolicyArn=arns[0])["Versions"]
    in_force = next(version["VersionId"] for version in versions if version["IsDefaultVersion"])
    others = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
    answer = aws.iam.get_policy_version(PolicyArn=arns[0], VersionId=in_force)
    return PolicyState(
        arn=arns[0],
        document=_document(answer["PolicyVersion"]["Document"]),
        versions=tuple(sorted(others, key=lambda version: int(version.removeprefix("v")))),
    )


def _document(answer: Any) -> Document:
    """A policy document; boto3 hands it out as text where it could not parse it."""
    document: Document = json.loads(answer) if isinstance(answer, str) else answer
    return document


def _attached(aws: Aws) -> tuple[str, ...] | None:
    if _or_none(lambda: aws.iam.get_group(GroupName=USER_GROUP, MaxItems=1)) is None:
        return None
    pages = aws.iam.get_paginator("list_attached_group_policies").paginate(GroupName=USER_GROUP)
    return tuple(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])


def _role(aws: Aws, name: str) -> RoleState:
    role = _or_none(lambda: aws.iam.get_role(RoleName=name))
    inline = role and _or_none(lambda: aws.iam.get_role_policy(RoleName=name, PolicyName=INLINE_NAME))
    profile = _or_none(lambda: aws.iam.get_instance_profile(InstanceProfileName=name))
    held = tuple(member["RoleName"] for member in profile["InstanceProfile"]["Roles"]) if profile else None
    return RoleState(
        trust=_document(role["Role"]["AssumeRolePolicyDocument"]) if role else None,
        rights=_document(inline["PolicyDocument"]) if inline else None,
        profile_roles=held,
    )


def _has_spot_role(aws: Aws) -> bool:
    """Whether the service-linked role that EC2 needs for spot instances exists.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
    """
    return bool(aws.iam.list_roles(PathPrefix=f"/aws-service-role/{SPOT_SERVICE}/")["Roles"])
