"""How long an instance may take until SSH answers, and why it does not: state, groups, route, console."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.own_address import networks_here
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC

Found = TypeVar("Found")

BOOT_LIMIT = 300.0  # seconds from `running` until SSH must answer
# Machines that test all their memory and devices first take longer.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
SLOW_TO_BOOT = ((re.compile(r"metal"), 1800.0), (re.compile(r"(24|32|48|56|96|112)xlarge"), 900.0))
CONSOLE_LINES = 8
ANYWHERE = ("0.0.0.0/0", "::/0")


def boot_limit(instance_type: str) -> float:
    """The seconds from `running` until SSH must answer on a machine of this type."""
    size = instance_type.partition(".")[2]
    return next((seconds for form, seconds in SLOW_TO_BOOT if form.match(size)), BOOT_LIMIT)


NO_WAY_IN = (
    "subnet: one with a route to an internet gateway; or another way in: via: private by a VPN, via: eice"
    " by an EC2 Instance Connect Endpoint, via: HOST by a jump host"
)


@dataclass(frozen=True, kw_only=True)
class Reachability:
    """What AWS says of the way to an instance that does not answer; None for what it does not tell.

    `own` is this machine's address or networks, `let_in` whether the instance's security groups let it in,
    `way_in` where its subnet sends what goes to the internet: `igw` is a way in, `nat` and empty are none.
    """

    state: str | None = None
    own: str | None = None
    let_in: bool | None = None
    way_in: str | None = None
    console: tuple[str, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """What keeps SSH from answering, or may, the surest first."""
        found = []
        if self.state != "running":
            found.append(f"AWS shows it as {self.state or 'gone'}")
        if self.let_in is False:
            found.append(f"its security groups do not let {self.own} in")
        if self.way_in in ("", "nat"):
            found.append(
                f"its subnet has no way in from the internet ({self.way_in or 'no route'} out of it)"
            )
        if not found and not self.console:
            found.append("it has printed nothing on its console yet: it may still boot")
        return found

    def hint(self, group_id: str, port: int) -> str:
        """What to type about the surest reason."""
        if self.let_in is False:
            return (
                f"`aws ec2 authorize-security-group-ingress --group-id {group_id} --protocol tcp"
                f" --port {port} --cidr {self.own}`, or security_group: one that lets you in"
            )
        if self.way_in in ("", "nat"):
            return NO_WAY_IN
        return "the console tells how far it came; `ec2tasks up` tries again"


def reachability(aws: Aws, instance: Instance | None, port: int, settings: Settings) -> Reachability:
    """What AWS says of the way to an instance; what can't be asked is left open."""
    if instance is None:
        return Reachability()
    networks = _known(lambda: networks_here(aws, settings)) or ()
    ids = list(instance.group_ids)
    groups = _known(lambda: aws.ec2.describe_security_groups(GroupIds=ids)) if ids else None
    text = _known(lambda: console_output(aws, instance.id, instead="its console is not shown")) or ""
    rules = (
        [rule for group in groups["SecurityGroups"] for rule in group["IpPermissions"]] if groups else None
    )
    return Reachability(
        state=instance.state,
        own=", ".join(networks) or None,
        let_in=any(lets_in(rules, one, port) for one in networks) if networks and rules is not None else None,
        way_in=_known(lambda: way_out(route_tables(aws, instance.vpc), instance.subnet))
        if settings.via == VIA_PUBLIC
        else None,
        console=tuple(text.splitlines()[-CONSOLE_LINES:]),
    )


def _known(ask: Callable[[], Found]) -> Found | None:
    """The answer, None where AWS gives none: this is looked at after a failure, and hides no other."""
    try:
        return ask()
    except Failure:
        return None
    except Exception as error:
        if explain(error) is None:
            raise
        return None


def lets_in(rules: Sequence[Mapping[str, Any]], address: str, port: int) -> bool:
    """Whether rules of security groups let this address in at a port; one by a prefix list or group may.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    """
    return any(_serves(rule, port) and _names(rule, address) for rule in rules)


def open_to_world(rules: Sequence[Mapping[str, Any]], port: int) -> bool:
    """Whether rules of security groups let everybody in at a port."""
    named = [
        ip.get("CidrIp") or ip.get("CidrIpv6")
        for rule in rules
        if _serves(rule, port)
        for ip in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", []))
    ]
    return any(one in ANYWHERE for one in named)


def _serves(rule: Mapping[str, Any], port: int) -> bool:
    every = rule.get("IpProtocol") == "-1"
    return every or (
        rule.get("IpProtocol") in ("tcp", "6")
        and rule.get("FromPort", 0) <= port <= rule.get("ToPort", 65535)
    )


def _names(rule: Mapping[str, Any], address: str) -> bool:
    own = ipaddress.ip_network(address)
    named = [ip["CidrIp"] for ip in rule.get("IpRanges", [])]
    named += [ip["CidrIpv6"] for ip in rule.get("Ipv6Ranges", [])]
    networks = [ipaddress.ip_network(one) for one in named]
    inside = any(own.version == one.version and own.subnet_of(one) for one in networks)  # type: ignore[arg-type]
    return inside or bool(rule.get("PrefixListIds"))


def route_tables(aws: Aws, vpc: str) -> Sequence[Mapping[str, Any]]:
    """The route tables of a network.

    https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html
    """
    of_network = [{"Name": "vpc-id", "Values": [vpc]}]
    tables: Any = aws.ec2.describe_route_tables(Filters=of_network)["RouteTables"]  # type: ignore[arg-type]
    return list(tables)


def way_out(tables: Sequence[Mapping[str, Any]], subnet: str) -> str:
    """Where a network's route tables send what leaves a subnet for the internet: `igw`, `nat` or nowhere.

    A subnet with no route table of its own has its network's main one.
    """
    ties = [(table, tie) for table in tables for tie in table.get("Associations", [])]
    own = next((table for table, tie in ties if tie.get("SubnetId") == subnet), None)
    main = next((table for table, tie in ties if tie.get("Main")), {})
    routes = (own or main).get("Routes", [])
    out = [
        route
        for route in routes
        if (route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")) in ANYWHERE
        and route.get("State", "active") == "active"
    ]
    if any(str(route.get("GatewayId", "")).startswith("igw-") for route in out):
        return "igw"
    if any(route.get("NatGatewayId") for route in out):
        return "nat"
    # A way through a gateway of the company's own may lead in too.
    return "other" if out else ""
