from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import client_error, settings

from ec2tasks.aws.capacity import Refusal
from ec2tasks.aws.client import Aws
from ec2tasks.aws.images import Image
from ec2tasks.aws.launch import launch
from ec2tasks.aws.launch_request import (
    Candidate,
    LaunchPlan,
    candidates,
    plan_prices,
    price_figures,
    run_instances_request,
)
from ec2tasks.aws.networks import Subnet
from ec2tasks.aws.prices import shipped_rates
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure
from ec2tasks.cli.options import RUN_OPTIONS, setting_values
from ec2tasks.lifecycle.launch_journal import Entry, Place

SUBNETS = [Subnet(id=f"subnet-{zone}", zone=f"eu-central-1{zone}", vpc="vpc-1") for zone in "cab"]
PLACE = Place(key="k", account="a", region="eu-central-1", owner="kim", name="kim-shop")
IMAGE = Image(id="ami-1", name="Deep Learning (Ubuntu)", user="ubuntu", root_device="/dev/sda1")


def plan(profile: str | None = None, **options: object) -> LaunchPlan:
    return LaunchPlan(
        settings=settings(**options),
        tags={"Name": "kim-shop", "Trigram": "kim"},
        image=IMAGE,
        key_name="kim",
        public_key=None,
        group_id="sg-1",
        profile=profile,
        candidates=(),
    )


def request(profile: str | None = None, **options: object) -> dict[str, Any]:
    candidate = Candidate(instance_type="g5.xlarge", subnet=SUBNETS[0])
    return run_instances_request(plan(profile, **options), candidate, "token")


def test_types_in_the_order_given_each_in_every_zone_that_offers_it() -> None:
    zones = {"g5.xlarge": {"eu-central-1a", "eu-central-1b"}, "g6.xlarge": {"eu-central-1c", "us-east-1a"}}
    tried = candidates(["g6.xlarge", "p9.huge", "g5.xlarge"], zones, SUBNETS)
    assert [(candidate.instance_type, candidate.subnet.zone[-1]) for candidate in tried] == [
        ("g6.xlarge", "c"),
        ("g5.xlarge", "a"),
        ("g5.xlarge", "b"),
    ]


def test_one_call_carries_tags_token_and_imdsv2() -> None:
    parameters = request()
    assert parameters["ClientToken"] == "token"
    assert parameters["MetadataOptions"]["HttpTokens"] == "required"
    assert parameters["InstanceInitiatedShutdownBehavior"] == "stop"
    kinds = {tagged["ResourceType"] for tagged in parameters["TagSpecifications"]}
    assert kinds == {"instance", "volume", "network-interface"}
    for tagged in parameters["TagSpecifications"]:
        assert {"Key": "Name", "Value": "kim-shop"} in tagged["Tags"]
    assert (parameters["MinCount"], parameters["MaxCount"]) == (1, 1)


def test_what_is_not_asked_for_is_not_in_the_request() -> None:
    optional = {
        "CapacityReservationSpecification",
        "IamInstanceProfile",
        "BlockDeviceMappings",
        "InstanceMarketOptions",
    }
    assert not optional & set(request())


def test_what_is_asked_for_is_in_the_request() -> None:
    parameters = request(profile="Reader", disk_gb=200, spot=True, user_data="#!/bin/sh\n")
    assert parameters["IamInstanceProfile"] == {"Name": "Reader"}
    assert parameters["BlockDeviceMappings"][0]["DeviceName"] == "/dev/sda1"
    assert parameters["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 200
    assert parameters["InstanceMarketOptions"]["MarketType"] == "spot"
    # A one-time spot instance can't be stopped, so neither by a shutdown from inside.
    assert parameters["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "\nspot 1\n" in parameters["UserData"]
    assert "\n\n#!/bin/sh\n" in parameters["UserData"]


def test_the_price_stays_with_the_instance_and_what_its_disk_costs_alone() -> None:
    image = replace(IMAGE, disk_sizes={"/dev/sda1": 50, "/dev/sdb": 23})
    asked = replace(plan(disk_gb=50), image=image, candidates=(candidate(),))
    priced = replace(asked, prices=price_figures(plan_prices(asked, shipped_rates("eu-central-1"))))
    tags = run_instances_request(priced, candidate(), "token")["TagSpecifications"][0]["Tags"]
    assert {"Key": "ec2tasks:price", "Value": "1.274"} in tags
    assert {"Key": "ec2tasks:disk-price", "Value": "0.009"} in tags
    unknown = replace(asked, prices=price_figures(plan_prices(asked, shipped_rates("mars-north-1"))))
    assert "ec2tasks:price" not in str(run_instances_request(unknown, candidate(), "token"))


def test_a_fallback_from_spot_is_priced_both_ways() -> None:
    asked = replace(plan(spot=True, spot_fallback=True), candidates=(candidate(),))
    key = "g5.xlarge@eu-central-1c"
    assert set(plan_prices(asked, shipped_rates("eu-central-1"))) == {key, f"{key} spot"}
    # No spot price is known: only on demand there is one.
    assert set(price_figures(plan_prices(asked, shipped_rates("eu-central-1")))) == {key}


def candidate() -> Candidate:
    return Candidate(instance_type="g5.xlarge", subnet=SUBNETS[0])


def test_an_address_is_asked_for_where_the_subnet_gives_none() -> None:
    private = Candidate(instance_type="g5.xlarge", subnet=replace(SUBNETS[0], public=False))
    parameters = run_instances_request(plan(), private, "token")
    (interface,) = parameters["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is True
    assert (interface["SubnetId"], interface["Groups"]) == (SUBNETS[0].id, ["sg-1"])
    # AWS takes them in one place only; the tags stay on the interface all the same.
    assert not {"SubnetId", "SecurityGroupIds"} & set(parameters)
    assert "network-interface" in {tagged["ResourceType"] for tagged in parameters["TagSpecifications"]}


def test_each_disk_that_the_image_would_leave_goes_with_the_instance() -> None:
    kept = {"/dev/sda1": {}, "/dev/sdb": {"SnapshotId": "snap-1", "VolumeSize": 500}}
    image = replace(IMAGE, kept_disks=kept)
    candidate = Candidate(instance_type="g5.xlarge", subnet=SUBNETS[0])
    asked = run_instances_request(replace(plan(disk_gb=200), image=image), candidate, "token")
    assert asked["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/sda1",
            "Ebs": {"VolumeSize": 200, "VolumeType": "gp3", "DeleteOnTermination": True},
        },
        {
            "DeviceName": "/dev/sdb",
            "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 500, "DeleteOnTermination": True},
        },
    ]
    of_image = run_instances_request(replace(plan(), image=image), candidate, "token")
    assert of_image["BlockDeviceMappings"][0]["Ebs"] == {"DeleteOnTermination": True}


def test_a_reservation_is_what_is_launched_in() -> None:
    asked = request(capacity_reservation="cr-0abc")["CapacityReservationSpecification"]
    assert asked == {"CapacityReservationTarget": {"CapacityReservationId": "cr-0abc"}}


class Full:
    """EC2 that has no capacity at the spot price, and on demand only from the so-manieth call on."""

    def __init__(self, grants_after: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self.grants_after = grants_after

    def run_instances(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if "InstanceMarketOptions" in asked or len(self.asked) <= self.grants_after:
            raise client_error("InsufficientInstanceCapacity")
        return {"Instances": [{"InstanceId": "i-1"}]}


def ask(client: Full, lost: Sequence[Refusal] = (), **options: Any) -> Any:
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", 1): client})
    tried = tuple(Candidate(instance_type="g5.xlarge", subnet=subnet) for subnet in SUBNETS)
    token = Entry(place=PLACE, nonce="n" * 32, began=0.0).token
    asked = replace(plan(**options), candidates=tried)
    prices = price_figures(plan_prices(asked, shipped_rates("eu-central-1")))
    return launch(aws, replace(asked, prices=prices), token, lost=lost)


def test_without_spot_capacity_each_is_asked_for_on_demand() -> None:
    client = Full(grants_after=4)
    assert ask(client, spot=True, spot_fallback=True)["InstanceId"] == "i-1"
    assert ["InstanceMarketOptions" in request for request in client.asked] == [True] * 3 + [False] * 2
    assert len({request["ClientToken"] for request in client.asked}) == 5
    # What is not paid at the spot price says its price.
    assert "ec2tasks:price" in str(client.asked[-1]["TagSpecifications"])


def test_what_was_granted_and_taken_back_is_not_asked_for_again() -> None:
    client = Full(grants_after=0)
    lost = [
        Refusal(instance_type="g5.xlarge", zone=subnet.zone, spot=False, code="InternalError", text="gone")
        for subnet in SUBNETS[:2]
    ]
    ask(client, lost=lost)
    (asked,) = client.asked
    assert asked["SubnetId"] == SUBNETS[2].id
    with pytest.raises(Failure, match="gone"):
        ask(client, lost=[*lost, replace(lost[0], zone=SUBNETS[2].zone)])


def test_on_demand_instead_of_spot_is_an_option() -> None:
    assert setting_values(RUN_OPTIONS, {"spot_fallback": True}) == {"spot_fallback": True}
    assert settings(**setting_values(RUN_OPTIONS, {"spot_fallback": True})).spot_fallback


@pytest.mark.parametrize(("spot", "hinted"), [(True, True), (False, False)])
def test_on_demand_is_not_taken_for_spot_unasked(spot: bool, hinted: bool) -> None:
    client = Full(grants_after=99)
    with pytest.raises(Failure, match="grants no instance") as caught:
        ask(client, spot=spot)
    assert len(client.asked) == 3
    assert ("--spot-fallback" in str(caught.value.hint)) is hinted


ZONES = st.sampled_from([subnet.zone for subnet in SUBNETS] + ["us-east-1a"])
TYPES = st.sampled_from(["g5.xlarge", "g6.xlarge", "g4dn.xlarge"])


@given(st.lists(TYPES, unique=True), st.dictionaries(TYPES, st.sets(ZONES)))
def test_nothing_is_asked_for_where_it_is_not_offered(types: list[str], zones: dict[str, set[str]]) -> None:
    tried = candidates(types, zones, SUBNETS)
    assert all(candidate.subnet.zone in zones[candidate.instance_type] for candidate in tried)
    assert list(dict.fromkeys(candidate.instance_type for candidate in tried)) == [
        name for name in types if zones.get(name, set()) & {subnet.zone for subnet in SUBNETS}
    ]
