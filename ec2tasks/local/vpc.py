"""What the account says of the instances' network: addresses, groups and their rules, from moto's models."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from ec2tasks.local import cloud
from ec2tasks.local.firewall import ANY, ICMP, TCP, UDP, Host, Rule
from ec2tasks.local.guestnet import Interface
from ec2tasks.local.keys import ACCOUNT

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "-1": ANY}
RESERVED = 4  # addresses at the start of a subnet, which AWS keeps, and the last one


def subnet_zone(region: str, subnet_id: str) -> str | None:
    """The zone of a subnet; None when there is no such subnet."""
    for zone, subnets in list(ec2_backends[ACCOUNT][region].subnets.items()):
        if subnet_id in subnets:
            return str(zone)
    return None


def free_address(subnet: ipaddress.IPv4Network, taken: Iterable[str]) -> str:
    """An address of a subnet that nobody has, none of those that AWS keeps; OSError where there is none."""
    used = set(taken)
    size = subnet.num_addresses - RESERVED - 1
    first = random.randrange(max(size, 1))  # noqa: S311  # not a secret
    for number in range(size):
        address = f"{subnet[RESERVED + (first + number) % size]}"
        if address not in used:
            return address
    raise OSError(f"no free address in {subnet}")


def give_private_address(instance_id: str) -> None:
    """Put an instance's private address in its subnet, where moto took one from anywhere."""
    nic = cloud.model(instance_id).nics[0]
    subnet = ipaddress.IPv4Network(nic.subnet.cidr_block)
    if ipaddress.IPv4Address(nic.private_ip_address) in subnet:
        return
    taken = (own_address(other) for _, other in cloud.models())
    nic.private_ip_address = nic.private_ip_addresses[0]["PrivateIpAddress"] = free_address(subnet, taken)


def own_address(instance: Any) -> str:
    """The address in its subnet, which is the one that is told but where that is `set_address`'s."""
    nic = instance.nics[0]
    return str(getattr(nic, "address_in_subnet", nic.private_ip_address))


def set_address(instance_id: str, address: str, *, public: bool) -> None:
    """Give an instance that is starting an address here, and this moment as its launch time."""
    instance = cloud.model(instance_id)
    nic = instance.nics[0]
    if public:
        nic.public_ip = address
    else:
        nic.address_in_subnet = own_address(instance)
        nic.private_ip_address = nic.private_ip_addresses[0]["PrivateIpAddress"] = address
    instance.launch_time = utcnow()


def interface(instance_id: str) -> Interface:
    """The instance's interface to the others."""
    instance = cloud.model(instance_id)
    nic = instance.nics[0]
    network = ipaddress.IPv4Network(nic.subnet.ec2_backend.vpcs[nic.subnet.vpc_id].cidr_block)
    own, told = own_address(instance), f"{nic.private_ip_address}"
    return Interface(address=own, mask=f"{network.netmask}", second=None if told == own else told)


def hosts(ids: Collection[str], side: Callable[[str], str]) -> list[Host]:
    """These instances as the network knows them, each on its side of it."""
    return [_host(instance, side(instance.id)) for _, instance in cloud.models() if instance.id in ids]


def _host(instance: Any, side: str) -> Host:
    nic = instance.nics[0]
    # moto keeps what a launch said in one place, and what its interface was given in another.
    groups = list(instance.security_groups or nic.group_set)
    return Host(
        id=instance.id,
        name=instance.private_dns_name,
        vpc=f"{nic.subnet.vpc_id}",
        addresses=tuple(dict.fromkeys((f"{nic.private_ip_address}", own_address(instance)))),
        groups=frozenset(group.id for group in groups),
        ingress=tuple(rules(rule for group in groups for rule in group.ingress_rules)),
        egress=tuple(rules(rule for group in groups for rule in group.egress_rules)),
        side=side,
    )


def rules(found: Iterable[Any]) -> Iterator[Rule]:
    """The rules that can hold for a packet between instances, from moto's."""
    for rule in found:
        name = f"{rule.ip_protocol}"
        network = rule.cidr_ipv4
        group = (rule.source_group or {}).get("GroupId", "")
        if (name not in PROTOCOLS and not name.isdigit()) or not (network or group):
            continue  # IPv6, or a list of AWS's own addresses: nobody here has one of those
        yield Rule(
            protocol=PROTOCOLS[name] if name in PROTOCOLS else int(name),
            low=ANY if rule.from_port is None else int(rule.from_port),
            high=ANY if rule.to_port is None else int(rule.to_port),
            group=group,
            network=ipaddress.IPv4Network(network, strict=False) if network else None,
        )
