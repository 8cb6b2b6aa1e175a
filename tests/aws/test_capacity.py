from __future__ import annotations

import pytest

from ec2tasks.aws.capacity import NoCapacityError, Refusal, refused_failure

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
    assert refusal.applies_to(other, "eu-central-1b", spot=other_spot) is holds
    assert refusal.applies_to("g5.xlarge", "eu-central-1a", spot=spot)


def refused(instance_type: str, zone: str, code: str, text: str) -> Refusal:
    return Refusal(instance_type=instance_type, zone=f"eu-central-1{zone}", spot=False, code=code, text=text)


def test_aws_s_words_stay_once_for_all_zones_of_one_reason() -> None:
    told = "no g5.xlarge in eu-central-1{}, by choosing eu-central-1c, or another"
    failure = refused_failure(
        [
            refused("g5.xlarge", "a", CAPACITY, told.format("a")),
            refused("g5.xlarge", "b", CAPACITY, told.format("b")),
            refused("g5.xlarge", "c", "Unsupported", "not that way"),
            refused("g5.xlarge", "c", "Unsupported", "nor this way"),
        ],
        "eu-central-1",
    )
    assert list(failure.lines) == [told.format("a"), "not that way", "nor this way"]


def test_what_waiting_does_not_mend_is_not_told_to_wait_for() -> None:
    failure = refused_failure(
        [refused("g5.xlarge", zone, "Unsupported", "x") for zone in "abc"], "eu-central-1"
    )
    assert "waiting does not help" in str(failure.hint)
    assert "again" not in str(failure.hint)
    assert not isinstance(failure, NoCapacityError)


def test_each_reason_is_summed_up_once() -> None:
    refusals = [
        Refusal(instance_type="g5.xlarge", zone=f"eu-central-1{zone}", spot=False, code=CAPACITY)
        for zone in "abc"
    ]
    words = refused_failure(refusals, "eu-central-1").what
    assert words.count("g5.xlarge") == words.count(CAPACITY) == 1
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in words
