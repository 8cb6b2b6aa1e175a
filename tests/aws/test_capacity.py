from __future__ import annotations

import pytest

from ec2tasks.aws.capacity import Refusal, refused_failure

CAPACITY, VCPU, SPOT = "InsufficientInstanceCapacity", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"


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
    refusal = Refusal(instance_type="g5.xlarge", zone="eu-central-1a", spot=spot, code=code)
    assert refusal.applies_to(other, spot=other_spot) is holds


def test_each_reason_is_summed_up_once() -> None:
    refusals = [
        Refusal(instance_type="g5.xlarge", zone=f"eu-central-1{zone}", spot=False, code=CAPACITY)
        for zone in "abc"
    ]
    words = refused_failure(refusals, "eu-central-1").what
    assert words.count("g5.xlarge") == words.count(CAPACITY) == 1
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in words
