"""The security group of an instance, whose SSH port is open to this machine's address alone."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.aws.consistency import PAUSES
from ec2tasks.aws.errors import error_code
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, IpPermissionUnionTypeDef, SecurityGroupTypeDef

SHARED_GROUP = "SshEC2"


def rule_description() -> str:
    """The description of rules made for this machine, which tells them from those of the user's others."""
    return f"ec2tasks {re.sub('[^A-Za-z0-9._-]', '-', socket.gethostname())}"


def own_cidr(aws: Aws) -> str:
    """The public IP address of this machine as AWS sees it, in the form of a rule: `203.0.113.7/32`.

    Raises Failure where it can't be told.
    """
    url = aws.endpoint.address_url
    try:
        direct = [urllib.request.ProxyHandler({})] if aws.endpoint.is_own else []
        with urllib.request.build_opener(*direct).open(url, timeout=10) as answer:
            text = answer.read(100).decode().strip()
        return str(ipaddress.ip_network(text))
    except (OSError, ValueError) as error:
        raise Failure(
            f"{url} did not tell this machine's address: {error}", hint="check the network"
        ) from error


def ssh_rule(network: str, port: int, description: str | None = None) -> IpPermissionUnionTypeDef:
    """The ingress rule that opens the SSH port to one network; by default described as this machine's.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    """
    rule: IpPermissionUnionTypeDef = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    text = rule_description() if description is None else description
    if ":" in network:
        rule["Ipv6Ranges"] = [{"CidrIpv6": network, "Description": text}]
    else:
        rule["IpRanges"] = [{"CidrIp": network, "Description": text}]
    return rule


def described_networks(
    group: SecurityGroupTypeDef, description: str, port: int | None = None
) -> tuple[str, ...]:
    """The networks (CIDR) that a group's rules of that description let in, on any port or this one."""
    return tuple(
        str(network.get("CidrIp") or network.get("CidrIpv6"))
        for rule in group.get("IpPermissions", [])
        if port is None or rule.get("FromPort") == port
        for network in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", []))
        if network.get("Description") == description
    )


def stale_rules(group: SecurityGroupTypeDef, network: str, port: int) -> list[IpPermissionUnionTypeDef]:
    """A group's rules for this machine's earlier addresses, which are to be revoked."""
    earlier = described_networks(group, rule_description())
    return [ssh_rule(cidr, port) for cidr in earlier if cidr != network]


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
    address: Callable[[], str] | None = None,
) -> bool:
    """Open the SSH port to this machine's address in the user's own groups among these; close its older ones.

    `address` gives the answer of `own_cidr`, where that was asked already.
    A group that an administrator keeps is left as it is. True where anything was opened.
    """
    if not group_ids:
        return False
    groups = aws.made.ask(lambda: aws.ec2.describe_security_groups(GroupIds=list(group_ids)))[
        "SecurityGroups"
    ]
    own = [group for group in groups if group["GroupName"] == own_group_name(owner)]
    network = (address() if address else own_cidr(aws)) if own else ""
    opened = [_open_to(aws, group, network, port) for group in own]
    return any(opened)


def _open_to(aws: Aws, group: SecurityGroupTypeDef, network: str, port: int) -> bool:
    stale = stale_rules(group, network, port)
    if stale:
        aws.ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=stale)
    rule = ssh_rule(network, port)
    try:
        aws.made.ask(
            lambda: aws.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
        )
    except Exception as error:
        if error_code(error) != "InvalidPermission.Duplicate":
            raise
        return False
    return True
