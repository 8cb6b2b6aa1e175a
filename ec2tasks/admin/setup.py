"""What an administrator sets up once: observe, decide, show, act. Run again, it changes nothing.

Made by hand or by ssh-ec2 before, a group, role or security group of the same name is kept and completed;
nothing that someone else put there is taken away.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ec2tasks.admin.account import (
    INLINE_NAME,
    RULE_MARK,
    SPOT_SERVICE,
    USER_GROUP,
    Account,
    PolicyState,
    RoleState,
    observe,
)
from ec2tasks.admin.policy import (
    EC2_SERVICE,
    FULL_ROLE,
    POLICY_NAME,
    READ_ROLE,
    Document,
    Rights,
    bucket_document,
    check_buckets,
    policy_document,
    trust_document,
)
from ec2tasks.aws.client import Aws
from ec2tasks.aws.security_groups import SHARED_GROUP, ssh_rule
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError

KEPT_VERSIONS = 5  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SPOT_ROLE = "AWSServiceRoleForEC2Spot"
POLICY_ARN, GROUP_ID = "Policy.Arn", "GroupId"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be there; `roles` are the S3 rights of each role, `networks` who may use SSH."""

    policy: Document
    roles: Mapping[str, Document]
    networks: tuple[str, ...]
    port: int
    spot: bool


@dataclass(frozen=True, kw_only=True)
class Action:
    """One call of AWS, and the line that shows it.

    `gives` is where in its answer a value stands that later calls need (`Policy.Arn`); `needs` are the
    parameters that such values of earlier calls fill in.
    """

    line: str
    service: str
    operation: str
    request: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)
    gives: str | None = None


def wanted_setup(
    aws: Aws, allowed: Rights, *, buckets: Iterable[str] = (), networks: Iterable[str] = ()
) -> Wanted:
    """What the options of `admin.setup` ask for. Raises UsageError for a bucket or network that can't be."""
    named = check_buckets(buckets)
    rights = {
        READ_ROLE: bucket_document(named, write=False),
        FULL_ROLE: bucket_document(named, write=True),
    }
    lends = "roles" in allowed.features
    return Wanted(
        policy=policy_document(allowed),
        roles={name: rights[name] for name in allowed.roles if lends and name in rights},
        networks=check_networks(networks),
        port=aws.endpoint.ssh_port,
        spot="spot" in allowed.features,
    )


def check_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Networks as AWS writes them. Raises UsageError for any other text, and for the whole internet."""
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise UsageError(
                f"`{text}` is no network: {error}", hint="--network 192.0.2.0/24, or one address"
            ) from error
        if network.prefixlen == 0:
            raise UsageError(
                f"`{text}` opens the SSH port to the whole internet",
                hint="name your networks; without --network each user's own group lets their address in",
            )
        found.append(str(network))
    return tuple(dict.fromkeys(found))


def setup(aws: Aws, wanted: Wanted, *, dry: bool) -> None:
    """Bring the account to what is wanted, showing each change; dry, only show them."""
    todo = decide(wanted, observe(aws, roles=wanted.roles, with_group=bool(wanted.networks)))
    if not todo:
        output.step("all is there already: nothing to change")
    elif dry:
        for action in todo:
            output.data(f"would {action.line}")
    else:
        act(aws, todo)
    if not dry:
        output.hint(f"`aws iam add-user-to-group --group-name {USER_GROUP} --user-name NAME` lets a user in")


def decide(wanted: Wanted, account: Account) -> list[Action]:
    """The calls that lead from what is there to what is wanted, in their order."""
    roles = [
        action
        for name, rights in wanted.roles.items()
        for action in _role_actions(name, rights, account.roles.get(name, RoleState()))
    ]
    spot = [] if account.has_spot_role or not wanted.spot else [_spot_action()]
    return [
        *_policy_actions(wanted, account.policy),
        *_user_group_actions(account),
        *roles,
        *spot,
        *_security_group_actions(wanted, account),
    ]


def _policy_actions(wanted: Wanted, found: PolicyState | None) -> list[Action]:
    text = json.dumps(wanted.policy)
    if found is None:
        request = {"PolicyName": POLICY_NAME, "PolicyDocument": text}
        line = f"create policy {POLICY_NAME}"
        return [_iam("create_policy", line, request, gives=POLICY_ARN)]
    if found.document == wanted.policy:
        return []
    # The version in force is not among these, so it stays until the new one replaces it.
    oldest = found.versions[: max(0, len(found.versions) + 2 - KEPT_VERSIONS)]
    return [
        *(
            _iam(
                "delete_policy_version",
                f"delete version {one} of policy {POLICY_NAME}: IAM keeps {KEPT_VERSIONS}",
                {"PolicyArn": found.arn, "VersionId": one},
            )
            for one in oldest
        ),
        _iam(
            "create_policy_version",
            f"put a new version of policy {POLICY_NAME} in force",
            {"PolicyArn": found.arn, "PolicyDocument": text, "SetAsDefault": True},
        ),
    ]


def _user_group_actions(account: Account) -> list[Action]:
    made = [] if account.attached is not None else [_create_user_group()]
    if account.policy and account.policy.arn in (account.attached or ()):
        return made
    request, needs = {"GroupName": USER_GROUP}, {"PolicyArn": POLICY_ARN}
    line = f"attach policy {POLICY_NAME} to group {USER_GROUP}"
    if account.policy:
        return [*made, _iam("attach_group_policy", line, {**request, "PolicyArn": account.policy.arn})]
    return [*made, _iam("attach_group_policy", line, request, needs=needs)]


def _create_user_group() -> Action:
    return _iam("create_group", f"create group {USER_GROUP}", {"GroupName": USER_GROUP})


def _role_actions(name: str, rights: Document, found: RoleState) -> list[Action]:
    """Raises Failure where the instance profile of that name holds another role."""
    todo = _trust_actions(name, found.trust)
    if found.rights != rights:
        inline = {"RoleName": name, "PolicyName": INLINE_NAME, "PolicyDocument": json.dumps(rights)}
        todo.append(_iam("put_role_policy", f"give role {name} {_rights_words(rights)}", inline))
    if found.profile_roles is None:
        profile = {"InstanceProfileName": name}
        todo.append(_iam("create_instance_profile", f"create instance profile {name}", profile))
    if not found.profile_roles:
        both = {"InstanceProfileName": name, "RoleName": name}
        line = f"put role {name} into instance profile {name}"
        todo.append(_iam("add_role_to_instance_profile", line, both))
    elif name not in found.profile_roles:
        raise Failure(
            f"instance profile `{name}` holds another role, `{found.profile_roles[0]}`",
            hint=(
                f"aws iam remove-role-from-instance-profile --instance-profile-name {name}"
                f" --role-name {found.profile_roles[0]}"
            ),
        )
    return todo


def _trust_actions(name: str, found: Document | None) -> list[Action]:
    ours = trust_document()
    if found is None:
        request = {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(ours)}
        return [_iam("create_role", f"create role {name}, for EC2 instances", request)]
    statements = found["Statement"] if isinstance(found["Statement"], list) else [found["Statement"]]
    if any(_lets_ec2_in(one) for one in statements):
        return []
    both = {**found, "Statement": [*statements, *ours["Statement"]]}
    request = {"RoleName": name, "PolicyDocument": json.dumps(both)}
    return [_iam("update_assume_role_policy", f"let EC2 instances take on role {name} too", request)]


def _lets_ec2_in(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return statement.get("Effect") == "Allow" and EC2_SERVICE in (
        services if isinstance(services, list) else [services]
    )


def _rights_words(rights: Document) -> str:
    (statement,) = rights["Statement"]
    kind = "full" if "s3:*" in statement["Action"] else "read-only"
    names = [arn.removeprefix("arn:aws:s3:::") for arn in statement["Resource"] if not arn.endswith("*")]
    return f"{kind} access to {', '.join(f's3://{name}' for name in names) or 'all of S3'}"


def _spot_action() -> Action:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html."""
    line = f"create role {SPOT_ROLE}, which AWS needs to launch at the spot price"
    return _iam("create_service_linked_role", line, {"AWSServiceName": SPOT_SERVICE})


def _security_group_actions(wanted: Wanted, account: Account) -> list[Action]:
    todo = []
    # Without the tag of ec2tasks: what the administrator keeps, no user may change.
    if wanted.networks and account.security_group is None:
        request: dict[str, Any] = {
            "GroupName": SHARED_GROUP,
            "Description": "SSH for the instances of ec2tasks",
            "VpcId": account.vpc,
        }
        line = f"create security group {SHARED_GROUP} in {account.vpc}"
        todo.append(_ec2("create_security_group", line, request, gives=GROUP_ID))
    known = {"GroupId": account.security_group} if account.security_group else {}
    needs = {} if known else {"GroupId": GROUP_ID}
    for operation, verb, networks in (
        ("revoke_security_group_ingress", "close", _missing(account.networks, wanted.networks)),
        ("authorize_security_group_ingress", "open", _missing(wanted.networks, account.networks)),
    ):
        for network in networks if wanted.networks else []:
            line = f"{verb} port {wanted.port} of security group {SHARED_GROUP} to {network}"
            request = {**known, "IpPermissions": [ssh_rule(network, wanted.port, RULE_MARK)]}
            todo.append(_ec2(operation, line, request, needs=needs))
    return todo


def _missing(of: Sequence[str], there: Sequence[str]) -> list[str]:
    return [one for one in of if one not in there]


def _iam(operation: str, line: str, request: Mapping[str, Any], **rest: Any) -> Action:
    return Action(line=line, service="iam", operation=operation, request=request, **rest)


def _ec2(operation: str, line: str, request: Mapping[str, Any], **rest: Any) -> Action:
    return Action(line=line, service="ec2", operation=operation, request=request, **rest)


def act(aws: Aws, todo: Sequence[Action]) -> None:
    """Carry the actions out, in their order. One that AWS refuses ends it; the next run goes on there."""
    clients: Mapping[str, Any] = {"iam": aws.iam, "ec2": aws.ec2}
    known: dict[str, Any] = {}
    for action in todo:
        output.step(action.line)
        needed = {parameter: known[answer] for parameter, answer in action.needs.items()}
        answer = getattr(clients[action.service], action.operation)(**action.request, **needed)
        if action.gives:
            for key in action.gives.split("."):
                answer = answer[key]
            known[action.gives] = answer
