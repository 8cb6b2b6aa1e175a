from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, NOON

from ec2tasks.aws.instances import (
    Instance,
    choose_instance,
    from_description,
    is_duplicate,
    stop_time,
)
from ec2tasks.base.errors import UsageError


def like(**changes: object) -> Instance:
    return dataclasses.replace(INSTANCE, **changes)  # type: ignore[arg-type]


def test_the_project_s_own_instance_is_taken() -> None:
    assert choose_instance([INSTANCE], name="kim-shop", identities=("p1",), name_given=False) is INSTANCE
    assert choose_instance([], name="kim-shop", identities=("p1",), name_given=False) is None


def test_another_project_s_instance_is_shared_only_by_name() -> None:
    with pytest.raises(UsageError) as caught:
        choose_instance([INSTANCE], name="kim-shop", identities=("p2",), name_given=False)
    assert "i-1" in caught.value.what
    assert choose_instance([INSTANCE], name="kim-shop", identities=("p2",), name_given=True) is INSTANCE


def test_several_of_one_name_are_listed_not_chosen_from() -> None:
    with pytest.raises(UsageError) as caught:
        choose_instance([INSTANCE, like(id="i-2")], name="kim-shop", identities=("p1",), name_given=True)
    assert "i-1" in caught.value.what
    assert "i-2" in caught.value.what


@given(
    st.lists(st.tuples(st.integers(0, 3), st.text("abc", min_size=1, max_size=3)), min_size=1, unique=True)
)
def test_of_several_launched_at_once_exactly_one_stays(launches: list[tuple[int, str]]) -> None:
    instances = [like(id=name, launched=NOON + timedelta(seconds=at)) for at, name in launches]
    assert sum(not is_duplicate(instance, instances) for instance in instances) == 1


def test_when_an_instance_was_stopped() -> None:
    assert stop_time("User initiated (2026-11-22 11:02:03 GMT)") == datetime(
        2026, 11, 22, 11, 2, 3, tzinfo=timezone.utc
    )
    assert stop_time("") is None


def test_an_instance_is_what_its_description_and_its_tags_tell() -> None:
    tags = {"Name": "kim-shop", "ec2tasks:owner": "kim", "ec2tasks:fetched": NOON.isoformat()}
    description = {
        "InstanceId": "i-1",
        "State": {"Name": "stopped"},
        "InstanceType": "g5.xlarge",
        "Placement": {"AvailabilityZone": "eu-central-1a"},
        "LaunchTime": NOON,
        "InstanceLifecycle": "spot",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    instance = from_description(description)  # type: ignore[arg-type]
    assert (instance.name, instance.owner, instance.project) == ("kim-shop", "kim", None)
    assert (instance.spot, instance.fetched, instance.price, instance.address) == (True, True, None, None)
    # Fetched before it was started again: something new may be on it.
    later = {**description, "LaunchTime": NOON + timedelta(hours=1)}
    assert not from_description(later).fetched  # type: ignore[arg-type]
