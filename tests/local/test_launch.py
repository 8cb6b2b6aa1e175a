from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ec2tasks.local.answers import Call, Refusal
from ec2tasks.local.faults import NONE, parse
from ec2tasks.local.images import IMAGES
from ec2tasks.local.launch import Account, Placement, choose_zone, launch_refusal, state_refusal

ACCOUNT = Account(
    image=IMAGES[0],
    has_image=True,
    has_key_pair=True,
    architectures=["x86_64"],
    offered_zones=["r-1a", "r-1b"],
)


def call(**parameters: str) -> Call:
    given = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "KeyName": "k"}
    named = {name.replace("_", "."): value for name, value in parameters.items()}
    return Call(service="ec2", region="r-1", action="RunInstances", parameters={**given, **named})


@pytest.mark.parametrize(
    ("account", "parameters", "code"),
    [
        ({}, {}, None),
        ({"has_image": False}, {}, "InvalidAMIID.NotFound"),
        ({"has_key_pair": False}, {}, "InvalidKeyPair.NotFound"),
        ({"architectures": []}, {}, "InvalidParameterValue"),
        ({"architectures": ["arm64"]}, {}, "InvalidParameterValue"),
        ({"image": None}, {}, None),
        ({}, {"size": "64"}, "InvalidBlockDeviceMapping"),
        ({}, {"size": "65"}, None),
        ({}, {"size": "8", "device": "/dev/sdb"}, None),
    ],
)
def test_launches_that_aws_refuses(
    account: dict[str, Any], parameters: dict[str, str], code: str | None
) -> None:
    asked = dict(parameters)
    if "size" in asked:
        asked["BlockDeviceMapping_1_Ebs_VolumeSize"] = asked.pop("size")
        asked["BlockDeviceMapping_1_DeviceName"] = asked.pop("device", "/dev/sda1")
    refusal = launch_refusal(call(**asked), replace(ACCOUNT, **account))
    assert (refusal.code if refusal else None) == code


@pytest.mark.parametrize(
    ("lacking", "zone", "expected"),
    [
        ([], None, Placement(zone="r-1a", by_us=True)),
        ([], "r-1b", Placement(zone="r-1b", by_us=False)),
        (["g5.xlarge@r-1a"], None, Placement(zone="r-1b", by_us=True)),
        (["g5.xlarge@r-1a"], "r-1a", "InsufficientInstanceCapacity"),
        (["g5.xlarge"], None, "InsufficientInstanceCapacity"),
        ([], "r-1c", "Unsupported"),
    ],
)
def test_the_zone_is_the_one_asked_for_else_the_first_with_capacity(
    lacking: list[str], zone: str | None, expected: Placement | str
) -> None:
    asked = call(**({"Placement_AvailabilityZone": zone} if zone else {}))
    found = choose_zone(asked, ACCOUNT, parse({"capacity": lacking}))
    assert (found.code if isinstance(found, Refusal) else found) == expected


def test_a_type_that_no_zone_offers_is_unsupported() -> None:
    found = choose_zone(call(), replace(ACCOUNT, offered_zones=[]), NONE)
    assert isinstance(found, Refusal)
    assert found.code == "Unsupported"


def test_a_subnet_names_the_zone() -> None:
    assert choose_zone(call(), replace(ACCOUNT, subnet_zone="r-1b"), NONE) == Placement(
        zone="r-1b", by_us=False
    )


def test_the_advice_names_zones_with_capacity() -> None:
    asked = call(Placement_AvailabilityZone="r-1a")
    found = choose_zone(asked, ACCOUNT, parse({"capacity": ["g5.xlarge@r-1a"]}))
    assert isinstance(found, Refusal)
    assert "or choosing r-1b" in found.message


@pytest.mark.parametrize(
    ("action", "state", "spot", "code"),
    [
        ("StartInstances", "stopped", False, None),
        ("StartInstances", "stopping", False, "IncorrectInstanceState"),
        ("StartInstances", "terminated", False, "IncorrectInstanceState"),
        ("StopInstances", "running", False, None),
        ("StopInstances", "running", True, "UnsupportedOperation"),
        ("StopInstances", "terminated", False, "IncorrectInstanceState"),
        ("RebootInstances", "stopped", False, "IncorrectInstanceState"),
        ("RebootInstances", "running", True, None),
        ("TerminateInstances", "terminated", False, None),
    ],
)
def test_changes_of_state_that_aws_refuses(action: str, state: str, spot: bool, code: str | None) -> None:
    refusal = state_refusal(action, ["i-1"], {"i-1": state}, lambda _: spot)
    assert (refusal.code if refusal else None) == code


def test_an_unknown_instance_is_left_to_the_account_to_refuse() -> None:
    assert state_refusal("StopInstances", ["i-2"], {}, lambda _: True) is None
