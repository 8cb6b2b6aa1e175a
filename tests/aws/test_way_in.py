"""What would keep SSH from answering is said before a launch, and never holds one up."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.values import client_error

from ec2tasks.aws import way_in
from ec2tasks.aws.client import Aws
from ec2tasks.aws.way_in import foresee
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure

OWN = "203.0.113.7/32"


class Routes:
    """EC2 that answers the route tables of a network: one way in, or none; or an error."""

    def __init__(self, way: str, refuses: Exception | None = None) -> None:
        self.way, self.refuses = way, refuses

    def describe_route_tables(self, **_request: object) -> dict[str, Any]:
        if self.refuses:
            raise self.refuses
        routes = [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": self.way}] if self.way else []
        return {"RouteTables": [{"Associations": [{"Main": True}], "Routes": routes}]}


def group(cidr: str, name: str = "SshEC2") -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]}
    return {name: {"GroupId": "sg-1", "GroupName": name, "IpPermissions": [rule]}}


def nowhere() -> tuple[str, ...]:
    raise Failure("nobody tells this machine's address")


def warned(
    capsys: pytest.CaptureFixture[str],
    groups: dict[str, Any],
    routes: Routes,
    networks: Any = lambda: (OWN,),
) -> str:
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", 6): routes})
    subnets = ["subnet-1"]
    foresee(aws, owner="kim", vpc="vpc-1", subnets=subnets, groups=lambda: groups, networks=networks)()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("groups", "way", "says"),
    [
        (group("203.0.113.0/24"), "igw-1", []),
        (group("192.0.2.0/24"), "igw-1", ["`SshEC2` does not let 203.0.113.7/32 in", "authorize"]),
        (group("0.0.0.0/0"), "igw-1", ["`SshEC2` lets everybody", "revoke-security-group-ingress"]),
        (group("192.0.2.0/24", "ec2tasks-kim"), "igw-1", []),
        (group("0.0.0.0/0", "ec2tasks-kim"), "igw-1", ["`ec2tasks-kim` lets everybody"]),
        ({}, "igw-1", []),
        ({}, "", ["no way in from the internet: subnet-1 (no route)", "an internet gateway"]),
    ],
)
def test_what_is_closed_or_open_is_said_with_what_to_type(
    groups: dict[str, Any], way: str, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = warned(capsys, groups, Routes(way))
    assert [words for words in says if words not in said] == []
    assert bool(said) is bool(says)


def test_what_can_t_be_told_is_left_open(capsys: pytest.CaptureFixture[str]) -> None:
    denied = Routes("", refuses=client_error("UnauthorizedOperation", operation="DescribeRouteTables"))
    assert warned(capsys, group("192.0.2.0/24"), denied) == ""
    assert warned(capsys, group("192.0.2.0/24"), Routes("igw-1"), networks=nowhere) == ""


def test_a_slow_answer_holds_no_launch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(way_in, "PATIENCE", 0.01)
    go_on = threading.Event()

    def slow() -> tuple[str, ...]:
        go_on.wait(30)
        return (OWN,)

    assert warned(capsys, group("192.0.2.0/24"), Routes(""), networks=slow) == ""
    go_on.set()
