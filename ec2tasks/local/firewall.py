"""Which packet goes from one instance to another: IPv4 headers read, security groups asked; pure.

As AWS's security groups: a packet that both sides' rules let pass begins a flow, and what answers a flow
passes too (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

ICMP, TCP, UDP = 1, 6, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8
ICMP_ERRORS = (3, 11, 12)  # unreachable, time exceeded, bad header: each quotes the packet that it is about
HEADER = 20
ANY = -1
MAX_FLOWS = 16384
LATER_FRAGMENT = b"\xff"  # in place of a protocol: 255 is none


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a security group: for a group or a network.

    `protocol` is a number or ANY; `low` and `high` are ports, or ICMP's type and code.
    """

    protocol: int
    low: int
    high: int
    group: str = ""
    network: ipaddress.IPv4Network | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """An instance on the network: its private addresses, its name there, its groups and their rules.

    `side` is the part of a network that fell apart; packets stay on one side.
    """

    id: str
    name: str = ""
    vpc: str
    addresses: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    side: str = ""


def packed(address: str) -> bytes:
    """The four bytes of an IPv4 address."""
    return ipaddress.IPv4Address(address).packed


@dataclass(kw_only=True)
class Network:
    """The instances by id and by the addresses that they have, and the flows that each sends."""

    hosts: dict[str, Host] = field(default_factory=dict)
    _places: dict[tuple[str, bytes], str] = field(default_factory=dict)
    _flows: dict[str, dict[bytes, None]] = field(default_factory=dict)

    def put(self, host: Host) -> None:
        """Take an instance in, or know it anew; its flows stay."""
        self._places = {place: name for place, name in self._places.items() if name != host.id}
        self._places.update({(host.vpc, packed(address)): host.id for address in host.addresses})
        self.hosts[host.id] = host
        self._flows.setdefault(host.id, {})

    def remove(self, host_id: str) -> None:
        """Forget an instance, and all flows to and from it."""
        self._flows.pop(host_id, None)
        gone = {place[1] for place, name in self._places.items() if name == host_id}
        for flows in self._flows.values():
            for flow in [flow for flow in flows if flow[5:9] in gone]:
                del flows[flow]
        self._places = {place: name for place, name in self._places.items() if name != host_id}
        self.hosts.pop(host_id, None)

    def at(self, vpc: str, address: bytes) -> Host | None:
        """Who has this address in this network."""
        name = self._places.get((vpc, address))
        return None if name is None else self.hosts[name]

    def knows(self, host_id: str, flow: bytes) -> bool:
        """Whether this instance sends that flow, which it began or answers."""
        return flow in self._flows[host_id]

    def remember(self, host_id: str, flow: bytes) -> None:
        """Let this instance send that flow. The oldest of too many is forgotten, and looked at anew."""
        flows = self._flows[host_id]
        flows[flow] = None
        if len(flows) > MAX_FLOWS:
            del flows[next(iter(flows))]


def flow_of(packet: bytes) -> bytes | None:
    """Protocol, source, destination and ports, in 13 bytes; None where the packet has no such header.

    An echo's number stands for both of its ports, and a later fragment's for its own.
    """
    if len(packet) < HEADER + 4 or packet[0] != 0x45:
        return None  # another version, or options, which few networks carry
    if packet[6] & 0x1F or packet[7]:
        return LATER_FRAGMENT + packet[12:20] + packet[4:6] * 2
    protocol = packet[9]
    if protocol in (TCP, UDP):
        return packet[9:10] + packet[12:24]  # the ports stand right behind the addresses
    if protocol != ICMP:
        return packet[9:10] + packet[12:20] + bytes(4)
    echo = packet[20] in (ECHO_REPLY, ECHO_REQUEST) and len(packet) >= HEADER + 8
    return packet[9:10] + packet[12:20] + (packet[24:26] if echo else packet[20:22]) * 2


def reply_of(flow: bytes) -> bytes:
    """The flow of what answers that one."""
    return flow[:1] + flow[5:9] + flow[1:5] + flow[11:13] + flow[9:11]


def rule_allows(rule: Rule, packet: bytes, *, groups: frozenset[str], address: bytes) -> bool:
    """Whether a rule lets this packet pass to or from who is in these groups and has this address."""
    if rule.protocol not in (ANY, packet[9]):
        return False
    if rule.protocol in (TCP, UDP) and not rule.low <= int.from_bytes(packet[22:24], "big") <= rule.high:
        return False
    if rule.protocol == ICMP and not (rule.low in (ANY, packet[20]) and rule.high in (ANY, packet[21])):
        return False
    if rule.network is not None:
        return ipaddress.IPv4Address(address) in rule.network
    return rule.group in groups


def _rules_allow(packet: bytes, source: Host, target: Host) -> bool:
    return any(
        rule_allows(rule, packet, groups=target.groups, address=packet[16:20]) for rule in source.egress
    ) and any(
        rule_allows(rule, packet, groups=source.groups, address=packet[12:16]) for rule in target.ingress
    )


def _is_about_a_flow(packet: bytes, target: Host, network: Network) -> bool:
    """Whether an ICMP error tells the target of a packet of its own that had passed."""
    quoted = packet[HEADER + 8 :]
    flow = flow_of(quoted)
    if packet[9] != ICMP or packet[20] not in ICMP_ERRORS or flow is None or quoted[12:16] != packet[16:20]:
        return False
    return network.knows(target.id, flow)


def target_of(packet: bytes, source: Host, network: Network) -> Host | None:
    """Who gets a packet that this instance sent; None drops it. Remembers the flow that it begins."""
    flow = flow_of(packet)
    if flow is None or (packet[2] << 8) + packet[3] != len(packet):
        return None
    target = network.at(source.vpc, packet[16:20])
    if target is None or target.id == source.id or target.side != source.side:
        return None
    if not network.knows(source.id, flow):
        sender = network.at(source.vpc, packet[12:16])
        if sender is None or sender.id != source.id:
            return None  # an address that is not its own
        if flow[:1] == LATER_FRAGMENT or not _rules_allow(packet, source, target):
            return target if _is_about_a_flow(packet, target, network) else None
        network.remember(source.id, flow)
        network.remember(target.id, reply_of(flow))
    if packet[6] & 0x20 and flow[:1] != LATER_FRAGMENT:  # the first of several fragments
        network.remember(source.id, LATER_FRAGMENT + packet[12:20] + packet[4:6] * 2)
    return target
