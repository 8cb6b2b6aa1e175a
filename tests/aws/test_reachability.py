from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, client_error, settings

from ec2tasks.aws.client import Aws
from ec2tasks.aws.reachability import Reachability, boot_limit, lets_in, reachability, way_out

HERE = "203.0.113.7/32"
IGW = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
LOCAL = {"DestinationCidrBlock": "172.31.0.0/16", "GatewayId": "local", "State": "active"}


@pytest.mark.parametrize(
    ("instance_type", "seconds"),
    [
        ("t3.micro", 300),
        ("g4dn.xlarge", 300),
        ("g5.12xlarge", 300),
        ("g4dn.metal", 1800),
        ("c7i.metal-24xl", 1800),
        ("g5.48xlarge", 900),
        ("p4d.24xlarge", 900),
        ("p5.48xlarge", 900),
        ("trn1.32xlarge", 900),
    ],
)
def test_big_machines_may_take_longer(instance_type: str, seconds: float) -> None:
    assert boot_limit(instance_type) == seconds


def rule(network: str, first: int = 22, last: int = 22, protocol: str = "tcp") -> dict[str, Any]:
    ranges = "Ipv6Ranges" if ":" in network else "IpRanges"
    key = "CidrIpv6" if ":" in network else "CidrIp"
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, ranges: [{key: network}]}


@pytest.mark.parametrize(
    ("rules", "inside"),
    [
        ([], False),
        ([rule("203.0.113.0/24")], True),
        ([rule("0.0.0.0/0")], True),
        ([rule("203.0.113.8/32")], False),
        ([rule("203.0.113.7/32", 80, 80)], False),
        ([rule("203.0.113.7/32", 0, 65535)], True),
        ([rule("203.0.113.7/32", protocol="udp")], False),
        ([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}], True),
        ([rule("::/0")], False),
        (
            [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": "pl"}]}],
            True,
        ),
    ],
)
def test_whether_a_group_lets_this_machine_in(rules: list[dict[str, Any]], inside: bool) -> None:
    assert lets_in(rules, HERE, 22) is inside


@given(st.ip_addresses(), st.integers(0, 32), st.integers(1, 65535))
def test_a_rule_for_a_network_around_an_address_lets_it_in(address: Any, shorter: int, port: int) -> None:
    own = ipaddress.ip_network(address)
    around = own.supernet(prefixlen_diff=shorter)
    assert lets_in([rule(str(around), port, port)], str(own), port)
    assert not lets_in([rule(str(around), port, port)], str(own), port - 1)


@pytest.mark.parametrize(
    ("tables", "out"),
    [
        ([{"Associations": [{"Main": True}], "Routes": [LOCAL, IGW]}], "igw"),
        ([{"Associations": [{"Main": True}], "Routes": [LOCAL]}], ""),
        ([{"Associations": [{"Main": True}], "Routes": [LOCAL, NAT]}], "nat"),
        ([{"Associations": [{"Main": True}], "Routes": [{**IGW, "State": "blackhole"}]}], ""),
        ([{"Associations": [{"Main": True}], "Routes": [{**IGW, "GatewayId": "vgw-1"}]}], "other"),
        (
            [
                {"Associations": [{"Main": True}], "Routes": [IGW]},
                {"Associations": [{"SubnetId": "subnet-1"}], "Routes": [NAT]},
            ],
            "nat",
        ),
        (
            [
                {"Associations": [{"SubnetId": "subnet-2"}], "Routes": [NAT]},
                {"Associations": [{"Main": True}], "Routes": [IGW]},
            ],
            "igw",
        ),
        ([], ""),
    ],
)
def test_the_way_out_of_a_subnet(tables: list[dict[str, Any]], out: str) -> None:
    assert way_out(tables, "subnet-1") == out


@pytest.mark.parametrize(
    ("found", "said", "typed"),
    [
        (
            Reachability(state="running", let_in=False, own=HERE),
            "do not let 203.0.113.7/32 in",
            "--cidr 203.0.",
        ),
        (
            Reachability(state="running", let_in=True, way_in="nat"),
            "no way in from the internet",
            "subnet: one",
        ),
        (Reachability(state="running", let_in=True, way_in=""), "no route", "subnet: one"),
        (Reachability(state="stopped"), "AWS shows it as stopped", "ec2tasks up"),
        (Reachability(), "AWS shows it as gone", "ec2tasks up"),
        (Reachability(state="running", way_in="igw"), "printed nothing on its console", "ec2tasks up"),
    ],
)
def test_the_reason_is_said_with_what_to_type(found: Reachability, said: str, typed: str) -> None:
    assert said in "; ".join(found.reasons)
    assert typed in found.hint("sg-1", 22)


def test_what_can_not_be_asked_hides_nothing() -> None:
    class Denying:
        def __getattr__(self, name: str) -> Any:
            def refuse(**_asked: object) -> None:
                raise client_error("UnauthorizedOperation", operation=name)

            return refuse

    from ec2tasks.base.endpoint import Endpoint

    nowhere = Endpoint(name="local", address_urls=("http://127.0.0.1:9/",))
    aws = Aws(endpoint=nowhere, region="eu-central-1", _kept={("ec2", 6): Denying()})
    assert reachability(aws, INSTANCE, 22, settings()) == Reachability(state="running")


def test_what_a_running_account_says(aws: Aws) -> None:
    (subnet, *_) = aws.ec2.describe_subnets()["Subnets"]
    instance = dataclasses.replace(
        INSTANCE, group_ids=(), vpc=subnet["VpcId"], subnet=subnet["SubnetId"], state="running"
    )
    found = reachability(aws, instance, 22, settings())
    assert found.way_in == "igw"
    assert found.own == "127.0.0.1/32"
    inside = reachability(aws, instance, 22, settings(via="bastion", ssh_from="10.0.0.0/8"))
    assert (inside.own, inside.way_in) == ("10.0.0.0/8", None)
