from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.local.firewall import ANY, ICMP, TCP, Rule
from ec2tasks.local.vpc import free_address, rules

SMALL = ipaddress.IPv4Network("10.0.0.0/28")


@given(st.sets(st.integers(4, 14).map(lambda number: f"10.0.0.{number}"), max_size=10))
def test_a_free_address_is_nobodys_and_none_that_aws_keeps(taken: set[str]) -> None:
    address = free_address(SMALL, taken)
    assert address not in taken
    assert 4 <= int(address.rpartition(".")[2]) <= 14


def test_a_full_subnet_is_an_error() -> None:
    with pytest.raises(OSError, match=r"no free address in 10\.0\.0\.0/28"):
        free_address(SMALL, [f"10.0.0.{number}" for number in range(4, 15)])


def line(protocol: str, low: int | None, high: int | None, **where: Any) -> SimpleNamespace:
    """A rule as moto has it."""
    group, network = where.get("group"), where.get("network")
    source = {"GroupId": group} if group else {}
    return SimpleNamespace(
        ip_protocol=protocol, from_port=low, to_port=high, source_group=source, cidr_ipv4=network
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (line("-1", None, None, group="sg-1"), Rule(protocol=ANY, low=ANY, high=ANY, group="sg-1")),
        (
            line("tcp", 22, 22, network="10.0.0.7/28"),
            Rule(protocol=TCP, low=22, high=22, network=SMALL),
        ),
        (line("icmp", 8, -1, group="sg-1"), Rule(protocol=ICMP, low=8, high=ANY, group="sg-1")),
        (line("47", None, None, group="sg-1"), Rule(protocol=47, low=ANY, high=ANY, group="sg-1")),
        (line("icmpv6", -1, -1, group="sg-1"), None),
        (line("tcp", 22, 22), None),
    ],
)
def test_a_rule_is_read_as_the_account_holds_it(found: SimpleNamespace, expected: Rule | None) -> None:
    assert list(rules([found])) == ([] if expected is None else [expected])
