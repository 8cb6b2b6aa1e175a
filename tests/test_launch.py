from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.image import Image
from ec2tasks.launch import Candidate, Order, Subnet, candidates, run_instances_request
from ec2tasks.project import Project
from ec2tasks.settings import Settings, read_settings

SUBNETS = [Subnet(id=f"subnet-{zone}", zone=f"eu-central-1{zone}", vpc="vpc-1") for zone in "cab"]
IMAGE = Image(id="ami-1", name="Deep Learning (Ubuntu)", user="ubuntu", root_device="/dev/sda1")


def settings(**options: object) -> Settings:
    project = Project(root=Path("/nowhere/shop"), below=Path())
    return read_settings(project, options=options, environ={"HOME": "/nowhere", "USER": "kim"})


def request(profile: str | None = None, **options: object) -> dict[str, Any]:
    order = Order(
        settings=settings(**options),
        tags={"Name": "kim-shop", "Trigram": "kim"},
        image=IMAGE,
        key_name="kim",
        group_id="sg-1",
        profile=profile,
        candidates=(),
    )
    return run_instances_request(order, Candidate(instance_type="g5.xlarge", subnet=SUBNETS[0]), "token")


def test_types_in_the_order_given_each_in_every_zone_that_offers_it() -> None:
    zones = {"g5.xlarge": {"eu-central-1a", "eu-central-1b"}, "g6.xlarge": {"eu-central-1c", "us-east-1a"}}
    found = candidates(["g6.xlarge", "p9.huge", "g5.xlarge"], zones, SUBNETS)
    assert [(one.instance_type, one.subnet.zone[-1]) for one in found] == [
        ("g6.xlarge", "c"),
        ("g5.xlarge", "a"),
        ("g5.xlarge", "b"),
    ]


def test_one_call_carries_tags_token_and_imdsv2() -> None:
    found = request()
    assert found["ClientToken"] == "token"
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["InstanceInitiatedShutdownBehavior"] == "stop"
    kinds = {one["ResourceType"] for one in found["TagSpecifications"]}
    assert kinds == {"instance", "volume", "network-interface"}
    for one in found["TagSpecifications"]:
        assert {"Key": "Name", "Value": "kim-shop"} in one["Tags"]
    assert (found["MinCount"], found["MaxCount"]) == (1, 1)


def test_what_is_not_asked_for_is_not_in_the_request() -> None:
    optional = {"IamInstanceProfile", "BlockDeviceMappings", "InstanceMarketOptions"}
    assert not optional & set(request())


def test_what_is_asked_for_is_in_the_request() -> None:
    found = request(profile="Reader", disk_gb=200, spot=True, user_data="#!/bin/sh\n")
    assert found["IamInstanceProfile"] == {"Name": "Reader"}
    assert found["BlockDeviceMappings"][0]["DeviceName"] == "/dev/sda1"
    assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 200
    assert found["InstanceMarketOptions"]["MarketType"] == "spot"
    # A one-time spot instance can't be stopped, so neither by a shutdown from inside.
    assert found["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "\nspot 1\n" in found["UserData"]
    assert "\n\n#!/bin/sh\n" in found["UserData"]


def test_the_price_stays_with_the_instance() -> None:
    tags = request()["TagSpecifications"][0]["Tags"]
    assert {"Key": "ec2tasks:price", "Value": "1.26"} in tags


ZONES = st.sampled_from([one.zone for one in SUBNETS] + ["us-east-1a"])
TYPES = st.sampled_from(["g5.xlarge", "g6.xlarge", "g4dn.xlarge"])


@given(st.lists(TYPES, unique=True), st.dictionaries(TYPES, st.sets(ZONES)))
def test_nothing_is_asked_for_where_it_is_not_offered(types: list[str], zones: dict[str, set[str]]) -> None:
    found = candidates(types, zones, SUBNETS)
    assert all(one.subnet.zone in zones[one.instance_type] for one in found)
    assert list(dict.fromkeys(c.instance_type for c in found)) == [
        one for one in types if zones.get(one, set()) & {subnet.zone for subnet in SUBNETS}
    ]
