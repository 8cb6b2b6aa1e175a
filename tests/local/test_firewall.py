from __future__ import annotations

import ipaddress
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.local.firewall import (
    ANY,
    ICMP,
    MAX_FLOWS,
    TCP,
    UDP,
    Host,
    Network,
    Rule,
    flow_of,
    packed,
    reply_of,
    rule_allows,
    target_of,
)

EVERYWHERE = ipaddress.IPv4Network("0.0.0.0/0")
ALL_OUT = (Rule(protocol=ANY, low=ANY, high=ANY, network=EVERYWHERE),)
MEMBERS = Rule(protocol=ANY, low=ANY, high=ANY, group="sg-a")


def host(name: str, address: str, *rules: Rule, group: str = "sg-a", vpc: str = "vpc-1") -> Host:
    return Host(
        id=name, vpc=vpc, addresses=(address,), groups=frozenset({group}), ingress=rules, egress=ALL_OUT
    )


A, B = host("i-a", "172.31.0.5", MEMBERS), host("i-b", "172.31.0.6", MEMBERS)
STRANGER = host("i-s", "172.31.0.7", group="sg-s")


def network(*hosts: Host) -> Network:
    made = Network()
    for one in hosts or (A, B, STRANGER):
        made.put(one)
    return made


def packet(source: Host, target: Host, content: bytes, *, protocol: int = TCP, fragment: int = 0) -> bytes:
    ends = packed(source.addresses[0]) + packed(target.addresses[0])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(content), 7, fragment, 64, protocol, 0)
    return head + ends + content


def ports(source: int, target: int) -> bytes:
    return struct.pack("!HH", source, target) + bytes(16)


def icmp(kind: int, code: int = 0, rest: bytes = bytes(4)) -> bytes:
    return bytes([kind, code, 0, 0]) + rest


def passes(joined: Network, source: Host, target: Host, content: bytes, **options: int) -> bool:
    found = target_of(packet(source, target, content, **options), joined.hosts[source.id], joined)
    assert found is None or found.id == target.id
    return found is not None


def test_members_of_a_group_reach_each_other_and_nobody_else_does() -> None:
    assert passes(network(), A, B, ports(40000, 22))
    assert passes(network(), B, A, ports(40000, 22), protocol=UDP)
    assert passes(network(), A, B, icmp(8), protocol=ICMP)
    assert passes(network(), A, B, ports(0, 0), protocol=47)
    assert not passes(network(), STRANGER, A, ports(40000, 22))
    assert not passes(network(), A, STRANGER, ports(40000, 22))


@pytest.mark.parametrize(
    ("rule", "content", "protocol", "expected"),
    [
        ((TCP, 22, 22, "172.31.0.0/16"), ports(1, 22), TCP, True),
        ((TCP, 22, 22, "172.31.0.0/16"), ports(1, 23), TCP, False),
        ((TCP, 22, 22, "172.31.0.0/16"), ports(22, 1), TCP, False),
        ((TCP, 22, 22, "172.31.0.0/16"), ports(1, 22), UDP, False),
        ((TCP, 20, 30, "172.31.0.7/32"), ports(1, 30), TCP, True),
        ((TCP, 20, 30, "172.31.0.8/32"), ports(1, 30), TCP, False),
        ((ICMP, 8, ANY, "0.0.0.0/0"), icmp(8), ICMP, True),
        ((ICMP, 8, ANY, "0.0.0.0/0"), icmp(13), ICMP, False),
        ((ICMP, 8, 1, "0.0.0.0/0"), icmp(8), ICMP, False),
        ((47, ANY, ANY, "0.0.0.0/0"), ports(1, 1), 47, True),
        ((47, ANY, ANY, "0.0.0.0/0"), ports(1, 1), 46, False),
    ],
)
def test_a_rule_is_for_a_protocol_ports_and_a_network(
    rule: tuple[int, int, int, str], content: bytes, protocol: int, expected: bool
) -> None:
    number, low, high, where = rule
    allowed = Rule(protocol=number, low=low, high=high, network=ipaddress.IPv4Network(where))
    joined = network(host("i-b", "172.31.0.6", allowed), STRANGER)
    assert passes(joined, STRANGER, B, content, protocol=protocol) == expected


def test_both_sides_rules_count() -> None:
    closed = replace(A, egress=())
    assert not passes(network(closed, B), closed, B, ports(40000, 22))


def test_what_answers_a_flow_passes_and_nothing_else() -> None:
    open_to_all = replace(MEMBERS, group="", network=EVERYWHERE)
    joined = network(A, replace(STRANGER, ingress=(open_to_all,)))
    assert not passes(joined, STRANGER, A, ports(22, 40000))
    assert passes(joined, A, STRANGER, ports(40000, 22))
    assert passes(joined, STRANGER, A, ports(22, 40000))
    assert not passes(joined, STRANGER, A, ports(22, 40001))
    assert not passes(joined, STRANGER, A, ports(22, 40000), protocol=UDP)


def test_an_error_about_a_flow_reaches_who_began_it() -> None:
    open_to_all = replace(MEMBERS, group="", network=EVERYWHERE)
    joined = network(A, replace(STRANGER, ingress=(open_to_all,)))
    sent = packet(A, STRANGER, ports(40000, 9), protocol=UDP)
    unreachable = icmp(3, 3, bytes(4) + sent[:28])
    assert not passes(joined, STRANGER, A, unreachable, protocol=ICMP)
    assert passes(joined, A, STRANGER, ports(40000, 9), protocol=UDP)
    assert passes(joined, STRANGER, A, unreachable, protocol=ICMP)
    another = icmp(3, 3, bytes(4) + packet(A, STRANGER, ports(40000, 10), protocol=UDP)[:28])
    assert not passes(joined, STRANGER, A, another, protocol=ICMP)


def test_fragments_follow_their_first_one() -> None:
    more, later = 0x2000, 0x0010
    joined = network()
    assert not passes(joined, A, B, bytes(24), fragment=later)
    assert passes(joined, A, B, ports(40000, 22), fragment=more)
    assert passes(joined, A, B, bytes(24), fragment=later)


def test_no_address_but_its_own_is_one_to_send_from() -> None:
    forged = packet(B, A, ports(40000, 22))
    joined = network()
    assert target_of(forged, joined.hosts["i-s"], joined) is None


def test_networks_do_not_meet_where_addresses_are_the_same() -> None:
    twin = host("i-t", "172.31.0.6", MEMBERS, vpc="vpc-2")
    joined = network(A, B, twin)
    assert passes(joined, A, B, ports(40000, 22))
    assert not passes(network(A, twin), A, twin, ports(40000, 22))


def test_a_side_keeps_to_itself_also_within_a_flow() -> None:
    joined = network()
    assert passes(joined, A, B, ports(40000, 22))
    joined.put(replace(A, side="apart"))
    assert not passes(joined, A, B, ports(40000, 22))
    assert not passes(joined, B, A, ports(22, 40000))
    joined.put(A)
    assert passes(joined, B, A, ports(22, 40000))


def test_a_flow_outlives_its_rule_and_not_its_instance() -> None:
    joined = network()
    assert passes(joined, A, B, ports(40000, 22))
    joined.put(replace(B, ingress=()))
    assert passes(joined, A, B, ports(40000, 22))
    assert not passes(joined, A, B, ports(40001, 22))
    joined.remove("i-b")
    joined.put(replace(B, id="i-new", ingress=()))
    assert not passes(joined, A, replace(B, id="i-new"), ports(40000, 22))


def test_flows_are_bounded_and_one_that_was_forgotten_begins_anew() -> None:
    joined = network()
    for number in range(MAX_FLOWS + 1):
        joined.remember("i-a", number.to_bytes(13, "big"))
    assert not joined.knows("i-a", (0).to_bytes(13, "big"))
    assert joined.knows("i-a", MAX_FLOWS.to_bytes(13, "big"))
    assert passes(joined, A, B, ports(40000, 22))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x45",
        packet(A, B, b""),
        packet(A, B, ports(1, 22))[:-1],
        packet(A, B, ports(1, 22)) + b"x",
        b"\x60" + packet(A, B, ports(1, 22))[1:],
        b"\x46" + packet(A, B, ports(1, 22))[1:],
        packet(A, host("i-x", "172.31.0.99"), ports(1, 22)),
        packet(A, host("i-x", "255.255.255.255"), ports(1, 22), protocol=UDP),
        packet(A, host("i-x", "224.0.0.1"), ports(1, 22), protocol=UDP),
        packet(A, A, ports(1, 22)),
    ],
)
def test_what_is_no_packet_for_somebody_here_is_dropped(broken: bytes) -> None:
    joined = network()
    assert target_of(broken, joined.hosts["i-a"], joined) is None


ADDRESSES = st.sampled_from([packed(one.addresses[0]) for one in (A, B, STRANGER)])


@st.composite
def nearly_packets(draw: st.DrawFn) -> bytes:
    content = draw(st.binary(max_size=60))
    first, protocol = (
        draw(st.sampled_from([0x45, 0x46, 0x60])),
        draw(st.sampled_from([ICMP, TCP, UDP, 47, 255])),
    )
    fragment = draw(st.sampled_from([0, 0x2000, 0x0010, 0xFFFF]))
    head = struct.pack("!BBHHHBBH", first, 0, 20 + len(content), 7, fragment, 64, protocol, 0)
    return head + draw(ADDRESSES) + draw(ADDRESSES) + content


@given(
    st.lists(
        st.tuples(st.sampled_from(["i-a", "i-b", "i-s"]), st.binary(max_size=60) | nearly_packets()),
        max_size=12,
    )
)
def test_whatever_is_sent_a_stranger_reaches_nobody_and_nobody_reaches_it(
    sent: list[tuple[str, bytes]],
) -> None:
    joined = network()
    for name, content in sent:
        target = target_of(content, joined.hosts[name], joined)
        assert target is None or {name, target.id} == {"i-a", "i-b"}


@given(st.binary(min_size=13, max_size=13))
def test_the_reply_of_a_reply_is_the_flow(flow: bytes) -> None:
    assert reply_of(reply_of(flow)) == flow


@given(st.binary(max_size=80))
def test_a_flow_is_of_thirteen_bytes(content: bytes) -> None:
    flow = flow_of(content)
    assert flow is None or len(flow) == 13


@given(st.sampled_from([TCP, UDP]), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535))
def test_ports_are_those_from_low_to_high(protocol: int, low: int, high: int, port: int) -> None:
    rule = Rule(protocol=protocol, low=low, high=high, group="sg-a")
    sent = packet(A, B, ports(1, port), protocol=protocol)
    allowed = rule_allows(rule, sent, groups=A.groups, address=packed("172.31.0.5"))
    assert allowed == (low <= port <= high)
