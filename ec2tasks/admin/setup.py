"""What an administrator sets up once in the account: read it, decide what to change, show it, change it.

Run again, it changes nothing.

Made by hand or by ssh-ec2 before, a group, role or security group of the same name is kept and completed;
nothing that someone else put there is taken away.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from ec2tasks.admin.account import (
    INLINE_NAME,
    RULE_MARK,
    SPOT_SERVICE,
    USER_GROUP,
    Account,
    PolicyState,
    RoleState,
    read_account,
)
from ec2tasks.admin.policy import (
    EC2_SERVICE,
    FULL_ROLE,
    POLICY_NAME,
    READ_ROLE,
    Document,
    Rights,
    check_size,
    policy_document,
)
from ec2tasks.admin.roles import bucket_document, check_buckets, trust_document
from ec2tasks.aws.client import Aws
from ec2tasks.aws.security_groups import SHARED_GROUP
from ec2tasks.aws.ssh_rules import ssh_rule
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError

KEPT_VERSIONS = 5  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SPOT_ROLE = "AWSServiceRoleForEC2Spot"
POLICY_ARN, GROUP_ID = "Policy.Arn", "GroupId"


@dataclass(frozen=True, kw_only=True)
class DesiredSetup:
    """What the account is to have; `roles` are the S3 rights of each role, `networks` who may use SSH."""

    policy: Document
    roles: Mapping[str, Document]
    networks: tuple[str, ...]
    port: int
    spot: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of the account: a call of AWS, and the line that shows it.

    `gives` is where in its answer a value stands that later calls need (`Policy.Arn`); `needs` are the
    parameters that such values of earlier calls fill in.
    """

    line: str
    service: str
    operation: str
    request: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)
    gives: str | None = None


def desired_setup(
    aws: Aws, allowed: Rights, *, buckets: Iterable[str] = (), networks: Iterable[str] = ()
) -> DesiredSetup:
    """What the account is to have by the options of `admin.setup`.

    Raises UsageError for a bucket or network that can't be, and a policy that is too large.
    """
    named = check_buckets(buckets)
    rights = {
        READ_ROLE: bucket_document(named, write=False, partition=allowed.partition),
        FULL_ROLE: bucket_document(named, write=True, partition=allowed.partition),
    }
    lends, policy = "roles" in allowed.features, policy_document(allowed)
    check_size(policy)
    return DesiredSetup(
        policy=policy,
        roles={name: rights[name] for name in allowed.roles if lends and name in rights},
        networks=check_networks(networks),
        port=aws.endpoint.ssh_port,
        spot="spot" in allowed.features,
    )


def check_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Networks (CIDR) as AWS writes them. Raises UsageError for other texts and the whole internet."""
    networks = []
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
        networks.append(str(network))
    return tuple(dict.fromkeys(networks))


def setup(aws: Aws, desired: DesiredSetup, *, dry: bool) -> None:
    """Bring the account to the desired set-up, showing each change; if `dry`, only show them."""
    changes = changes_needed(
        desired, read_account(aws, roles=desired.roles, with_group=bool(desired.networks))
    )
    carry_out(aws, changes, dry=dry)
    if any(rights["Statement"][0]["Resource"] == ["*"] for rights in desired.roles.values()):
        output.hint("instances reach every bucket of the account; --bucket NAME limits that")
    if not dry:
        output.hint(f"`aws iam add-user-to-group --group-name {USER_GROUP} --user-name NAME` lets a user in")


def carry_out(aws: Aws, changes: Sequence[Change], *, dry: bool) -> Mapping[str, Any]:
    """Make these changes, or if `dry` show them; what their answers gave that others may need."""
    if not changes:
        output.step("all is there already: nothing to change")
    elif dry:
        for change in changes:
            output.data(f"would {change.line}")
    else:
        return apply_changes(aws, changes)
    return {}


def changes_needed(desired: DesiredSetup, account: Account) -> list[Change]:
    """The changes that lead from the account as it is to the desired set-up, in their order."""
    roles = [
        change
        for name, rights in desired.roles.items()
        for change in _role_changes(name, rights, account.roles.get(name, RoleState()))
    ]
    spot = [] if account.has_spot_role or not desired.spot else [_spot_role_change()]
    return [
        *_policy_changes(desired, account.policy),
        *_user_group_changes(account),
        *roles,
        *spot,
        *_security_group_changes(desired, account),
    ]


def _policy_changes(desired: DesiredSetup, policy: PolicyState | None) -> list[Change]:
    text = json.dumps(desired.policy)
    if policy is None:
        request = {"PolicyName": POLICY_NAME, "PolicyDocument": text}
        line = f"create policy {POLICY_NAME}"
        return [_iam("create_policy", line, request, gives=POLICY_ARN)]
    if policy.document == desired.policy:
        return []
    # The version in force is not among these, so it stays until the new one replaces it.
    oldest = policy.versions[: max(0, len(policy.versions) + 2 - KEPT_VERSIONS)]
    return [
        *(
            _iam(
                "delete_policy_version",
                f"delete version {version} of policy {POLICY_NAME}: IAM keeps {KEPT_VERSIONS}",
                {"PolicyArn": policy.arn, "VersionId": version},
            )
            for version in oldest
        ),
        _iam(
            "create_policy_version",
            f"put a new version of policy {POLICY_NAME} in force",
            {"PolicyArn": policy.arn, "PolicyDocument": text, "SetAsDefault": True},
        ),
    ]


def _user_group_changes(account: Account) -> list[Change]:
    made = [] if account.attached is not None else [_create_user_group()]
    if account.policy and account.policy.arn in (account.attached or ()):
        return made
    request, needs = {"GroupName": USER_GROUP}, {"PolicyArn": POLICY_ARN}
    line = f"attach policy {POLICY_NAME} to group {USER_GROUP}"
    if account.policy:
        return [*made, _iam("attach_group_policy", line, {**request, "PolicyArn": account.policy.arn})]
    return [*made, _iam("attach_group_policy", line, request, needs=needs)]


def _create_user_group() -> Change:
    return _iam("create_group", f"create group {USER_GROUP}", {"GroupName": USER_GROUP})


def _role_changes(name: str, rights: Document, role: RoleState) -> list[Change]:
    """The changes of a role and its instance profile. Raises Failure where that holds another role."""
    changes = _trust_changes(name, role.trust)
    if role.rights != rights:
        inline = {"RoleName": name, "PolicyName": INLINE_NAME, "PolicyDocument": json.dumps(rights)}
        changes.append(_iam("put_role_policy", f"give role {name} {_rights_words(rights)}", inline))
    if role.profile_roles is None:
        profile = {"InstanceProfileName": name}
        changes.append(_iam("create_instance_profile", f"create instance profile {name}", profile))
    if not role.profile_roles:
        both = {"InstanceProfileName": name, "RoleName": name}
        line = f"put role {name} into instance profile {name}"
        changes.append(_iam("add_role_to_instance_profile", line, both))
    elif name not in role.profile_roles:
        raise Failure(
            f"instance profile `{name}` holds another role, `{role.profile_roles[0]}`",
            hint=(
                f"aws iam remove-role-from-instance-profile --instance-profile-name {name}"
                f" --role-name {role.profile_roles[0]}"
            ),
        )
    return changes


def _trust_changes(name: str, trust: Document | None) -> list[Change]:
    ours = trust_document()
    if trust is None:
        request = {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(ours)}
        return [_iam("create_role", f"create role {name}, for EC2 instances", request)]
    statements = trust["Statement"] if isinstance(trust["Statement"], list) else [trust["Statement"]]
    if any(_lets_ec2_assume(statement) for statement in statements):
        return []
    both = {**trust, "Statement": [*statements, *ours["Statement"]]}
    request = {"RoleName": name, "PolicyDocument": json.dumps(both)}
    return [_iam("update_assume_role_policy", f"let EC2 instances take on role {name} too", request)]


def _lets_ec2_assume(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    named = services if isinstance(services, list) else [services]
    # In China its console writes the longer name.
    return statement.get("Effect") == "Allow" and bool({EC2_SERVICE, f"{EC2_SERVICE}.cn"} & set(named))


def _rights_words(rights: Document) -> str:
    (statement,) = rights["Statement"]
    kind = "full" if "s3:*" in statement["Action"] else "read-only"
    names = [arn.partition(":s3:::")[2] for arn in statement["Resource"] if not arn.endswith("*")]
    return f"{kind} access to {', '.join(f's3://{name}' for name in names) or 'all of S3'}"


def _spot_role_change() -> Change:
    """Creating the service-linked role for spot instances.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
    """
    line = f"create role {SPOT_ROLE}, which AWS needs to launch at the spot price"
    return _iam("create_service_linked_role", line, {"AWSServiceName": SPOT_SERVICE})


def _security_group_changes(desired: DesiredSetup, account: Account) -> list[Change]:
    changes = []
    # Without the tag of ec2tasks: what the administrator keeps, no user may change.
    if desired.networks and account.security_group is None:
        request: dict[str, Any] = {
            "GroupName": SHARED_GROUP,
            "Description": "SSH for the instances of ec2tasks",
            "VpcId": account.vpc,
        }
        line = f"create security group {SHARED_GROUP} in {account.vpc}"
        changes.append(_ec2("create_security_group", line, request, gives=GROUP_ID))
    known = {"GroupId": account.security_group} if account.security_group else {}
    needs = {} if known else {"GroupId": GROUP_ID}
    for operation, verb, networks in (
        ("revoke_security_group_ingress", "close", _missing(account.networks, desired.networks)),
        ("authorize_security_group_ingress", "open", _missing(desired.networks, account.networks)),
    ):
        for network in networks if desired.networks else []:
            line = f"{verb} port {desired.port} of security group {SHARED_GROUP} to {network}"
            request = {**known, "IpPermissions": [ssh_rule(network, desired.port, RULE_MARK)]}
            changes.append(_ec2(operation, line, request, needs=needs))
    return changes


def _missing(networks: Sequence[str], others: Sequence[str]) -> list[str]:
    return [network for network in networks if network not in others]


def _iam(operation: str, line: str, request: Mapping[str, Any], **rest: Any) -> Change:
    return Change(line=line, service="iam", operation=operation, request=request, **rest)


def _ec2(operation: str, line: str, request: Mapping[str, Any], **rest: Any) -> Change:
    return Change(line=line, service="ec2", operation=operation, request=request, **rest)


def apply_changes(aws: Aws, changes: Sequence[Change]) -> Mapping[str, Any]:
    """Make the changes in their order. One that AWS refuses ends it; the next run goes on there.

    Returns what the answers gave, by where it stood in them.
    """
    known: dict[str, Any] = {}
    for change in changes:
        output.step(change.line)
        needed = {parameter: known[answer] for parameter, answer in change.needs.items()}
        client = getattr(aws, change.service)
        action = partial(getattr(client, change.operation), **change.request, **needed)
        answer = aws.made.ask(action)
        if change.operation.startswith("create_"):
            aws.made.add(*(value for name, value in change.request.items() if name.endswith("Name")))
        if change.gives:
            for key in change.gives.split("."):
                answer = answer[key]
            known[change.gives] = answer
            aws.made.add(answer)
    return known
