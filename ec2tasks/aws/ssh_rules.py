"""The rules of a security group that open the SSH port: who made them, and which are to go. Pure.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ec2tasks.base.dataclass import dataclass

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import IpPermissionUnionTypeDef, SecurityGroupTypeDef

MADE_HERE = re.compile(r"ec2tasks (?P<host>[A-Za-z0-9._-]+)(?: (?P<day>\d{4}-\d\d-\d\d))?")
DATED_ANEW = timedelta(days=7)  # so a rule in use is never taken for one that nobody uses
HOST_GONE = timedelta(days=30)


def this_host() -> str:
    """The name of this machine as a rule's description can hold it."""
    return re.sub("[^A-Za-z0-9._-]", "-", socket.gethostname())


def rule_description(host: str, day: date) -> str:
    """The description of a rule, which tells for which machine it was made, and when that last used it."""
    return f"ec2tasks {host} {day}"


def ssh_rule(network: str, port: int, description: str) -> IpPermissionUnionTypeDef:
    """The ingress rule that opens the SSH port to one network."""
    rule: IpPermissionUnionTypeDef = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if ":" in network:
        rule["Ipv6Ranges"] = [{"CidrIpv6": network, "Description": description}]
    else:
        rule["IpRanges"] = [{"CidrIp": network, "Description": description}]
    return rule


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One network that a rule lets in at one TCP port."""

    network: str
    port: int
    description: str


def openings(group: SecurityGroupTypeDef) -> tuple[Opening, ...]:
    """The networks that a group lets in at a single TCP port, as AWS describes the group."""
    return tuple(
        Opening(
            network=str(network.get("CidrIp") or network.get("CidrIpv6")),
            port=rule.get("FromPort", -1),
            description=network.get("Description", ""),
        )
        for rule in group.get("IpPermissions", [])
        if rule.get("IpProtocol") == "tcp" and rule.get("FromPort") == rule.get("ToPort")
        for network in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", []))
    )


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The rules to revoke and to make; `opened` are the networks that had none before."""

    revoke: tuple[IpPermissionUnionTypeDef, ...]
    make: tuple[IpPermissionUnionTypeDef, ...]
    opened: tuple[str, ...]


def rule_changes(
    found: Sequence[Opening], networks: Sequence[str], *, port: int, host: str, today: date
) -> Changes:
    """What makes a group let in these networks for this machine, and none that it or one that is gone left.

    A machine is gone whose rule was not dated anew for a month. Rules that ec2tasks did not make, or did
    without a date on another machine, stay.
    """
    kept, had, revoke = set[str](), set[str](), list[Opening]()
    for one in found:
        made = MADE_HERE.fullmatch(one.description)
        age = _age(made["day"], today) if made else None
        wanted = one.network in networks and one.port == port
        if made and made["host"] == host:
            had |= {one.network} if wanted else set()
            if wanted and age is not None and age < DATED_ANEW:
                kept.add(one.network)
            else:
                revoke.append(one)
        elif age is not None and age > HOST_GONE:
            revoke.append(one)
    new = [network for network in networks if network not in kept]
    return Changes(
        revoke=tuple(ssh_rule(one.network, one.port, one.description) for one in revoke),
        make=tuple(ssh_rule(network, port, rule_description(host, today)) for network in new),
        opened=tuple(network for network in new if network not in had),
    )


def _age(day: str | None, today: date) -> timedelta | None:
    """How old a rule of that day is; None where its description holds no day that there is."""
    try:
        return today - date.fromisoformat(day) if day else None
    except ValueError:
        return None
