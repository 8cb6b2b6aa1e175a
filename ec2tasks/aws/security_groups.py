"""The security group of an instance, whose SSH port is open to this machine's networks alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.aws.consistency import PAUSES
from ec2tasks.aws.errors import error_code
from ec2tasks.aws.ssh_rules import Changes, openings, rule_changes, this_host
from ec2tasks.base import output
from ec2tasks.base.errors import UsageError

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, IpPermissionUnionTypeDef, SecurityGroupTypeDef

SHARED_GROUP = "SshEC2"


def group_names(setting: str | None, owner: str) -> tuple[str, ...]:
    """What the security group to launch with may be called, the first that there is: or one id."""
    return (setting,) if setting else (SHARED_GROUP, own_group_name(owner))


def security_group(
    aws: Aws,
    setting: str | None,
    *,
    owner: str,
    vpc: str,
    create: bool = True,
    known: Callable[[], Mapping[str, SecurityGroupTypeDef]] | None = None,
) -> str:
    """The id of the security group to launch with: that of the setting, else `SshEC2`, else the user's own.

    The user's own is made where it may be. `known` gives the answer of `find_groups` for `group_names`, where
    that was asked already. Raises UsageError where there is none.
    """
    names = group_names(setting, owner)
    groups = known() if known else find_groups(aws, names, vpc)
    found = next((groups[name]["GroupId"] for name in names if name in groups), None)
    if found:
        return found
    if setting:
        raise UsageError(
            f"no security group `{setting}` in {vpc} ({aws.region})",
            hint=f"`aws ec2 describe-security-groups --region {aws.region}` lists them",
        )
    if not create:
        raise UsageError(
            f"no security group `{SHARED_GROUP}` in {vpc} ({aws.region}), and none may be made",
            hint="create_security_group: true; or your administrator: `ec2tasks admin.setup --network CIDR`",
        )
    return _create(aws, owner, vpc)


def own_group_name(owner: str) -> str:
    """The name of the group that ec2tasks makes for a user."""
    return f"ec2tasks-{owner}"


def find_groups(aws: Aws, names: Sequence[str], vpc: str) -> dict[str, SecurityGroupTypeDef]:
    """The security groups of these names, or of one id, that there are in a VPC, by that."""
    key = "group-id" if names[0].startswith("sg-") else "group-name"
    filters: list[FilterTypeDef] = [
        {"Name": key, "Values": list(names)},
        {"Name": "vpc-id", "Values": [vpc]},
    ]
    groups = aws.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return {group["GroupId" if key == "group-id" else "GroupName"]: group for group in groups}


def _create(aws: Aws, owner: str, vpc: str) -> str:
    name = own_group_name(owner)
    try:
        group_id = aws.ec2.create_security_group(
            GroupName=name,
            Description=f"SSH for the instances of {owner}, made by ec2tasks",
            VpcId=vpc,
            TagSpecifications=[
                {"ResourceType": "security-group", "Tags": [{"Key": "ec2tasks", "Value": owner}]}
            ],
        )["GroupId"]
        aws.made.add(group_id)
        output.step(f"made security group {name}")
        return group_id
    except Exception as error:
        group = _made_elsewhere(aws, name, vpc) if error_code(error) == "InvalidGroup.Duplicate" else None
        if group is None:
            raise
        return group["GroupId"]


def _made_elsewhere(
    aws: Aws, name: str, vpc: str, sleep: Callable[[float], None] = time.sleep
) -> SecurityGroupTypeDef | None:
    """The group that another client has just made, which AWS's lists may not show yet; None for too long."""
    for pause in (*PAUSES, 0.0):
        group = find_groups(aws, [name], vpc).get(name)
        if group:
            aws.made.add(group["GroupId"])
            return group
        sleep(pause)
    return None


def open_ssh_port(
    aws: Aws,
    group_ids: Sequence[str],
    *,
    owner: str,
    port: int,
    networks: Callable[[], Sequence[str]],
    today: Callable[[], date] = date.today,
) -> bool:
    """Open the SSH port to this machine's `networks` in the user's own groups among these; close older ones.

    A group that an administrator keeps is left as it is. True where anything was opened.
    """
    if not group_ids:
        return False
    groups = aws.made.ask(lambda: aws.ec2.describe_security_groups(GroupIds=list(group_ids)))[
        "SecurityGroups"
    ]
    own = [group for group in groups if group["GroupName"] == own_group_name(owner)]
    wanted = networks() if own else ()
    opened = [
        _open_to(
            aws,
            group["GroupId"],
            rule_changes(openings(group), wanted, port=port, host=this_host(), today=today()),
        )
        for group in own
    ]
    return any(opened)


def _open_to(aws: Aws, group_id: str, changes: Changes) -> bool:
    """Change the rules of a group; whether a network is let in that was not before."""
    if changes.revoke:
        aws.ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=list(changes.revoke))
    made = [_make_rule(aws, group_id, rule) for rule in changes.make]
    return any(made) and bool(changes.opened)


def _make_rule(aws: Aws, group_id: str, rule: IpPermissionUnionTypeDef) -> bool:
    """Whether the rule was made, and not there already."""
    try:
        aws.made.ask(lambda: aws.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[rule]))
    except Exception as error:
        if error_code(error) != "InvalidPermission.Duplicate":
            raise
        return False
    return True
