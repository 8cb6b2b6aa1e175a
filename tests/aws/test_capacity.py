from __future__ import annotations

import pytest

from ec2tasks.aws.capacity import Refusal, refused_failure
from ec2tasks.aws.quotas import quota_of

CAPACITY, VCPU, SPOT = "InsufficientInstanceCapacity", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"


@pytest.mark.parametrize(
    ("name", "spot", "code"),
    [
        ("g4dn.xlarge", False, "L-DB2E81BA"),
        ("vt1.3xlarge", True, "L-3819A6DF"),
        ("p4d.24xlarge", False, "L-417A185B"),
        ("t3.micro", False, "L-1216C47A"),
        ("inf2.xlarge", False, "L-1945791B"),
        ("u-6tb1.metal", False, None),
    ],
)
def test_a_type_s_quota(name: str, spot: bool, code: str | None) -> None:
    found = quota_of(name, spot=spot)
    assert (found and found.code) == code


@pytest.mark.parametrize(
    ("code", "spot", "other", "other_spot", "holds"),
    [
        (CAPACITY, False, "g5.xlarge", False, False),
        (VCPU, False, "g5.xlarge", False, True),
        (VCPU, False, "g6.xlarge", False, True),
        (VCPU, False, "g6.2xlarge", False, False),  # fewer processors may still fit
        (VCPU, False, "t3.xlarge", False, False),
        (SPOT, True, "g5.xlarge", False, False),
        (SPOT, True, "g5.xlarge", True, True),
    ],
)
def test_a_quota_holds_for_all_zones_and_its_families(
    code: str, spot: bool, other: str, other_spot: bool, holds: bool
) -> None:
    one = Refusal(instance_type="g5.xlarge", zone="eu-central-1a", spot=spot, code=code)
    assert one.applies_to(other, spot=other_spot) is holds


def test_each_reason_is_summed_up_once() -> None:
    refusals = [
        Refusal(instance_type="g5.xlarge", zone=f"eu-central-1{zone}", spot=False, code=CAPACITY)
        for zone in "abc"
    ]
    said = refused_failure(refusals, "eu-central-1").what
    assert said.count("g5.xlarge") == said.count(CAPACITY) == 1
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in said
