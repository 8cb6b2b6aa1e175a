from __future__ import annotations

import dataclasses
from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, NOON, every_field

from ec2tasks.aws.instances import (
    ALIVE,
    Instance,
    choose_instance,
)
from ec2tasks.base.errors import UsageError
from ec2tasks.lifecycle.instance_cache import as_json, from_json
from ec2tasks.remote.guard_status import facts


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


def test_what_status_tells() -> None:
    found = facts(INSTANCE, now=NOON)
    assert (found["age_seconds"], found["cost"]) == (7200, 2.52)
    assert facts(like(state="stopped"), now=NOON)["cost"] is None
    assert facts(like(price=None), now=NOON)["cost"] is None


MOMENTS = st.datetimes(timezones=st.just(timezone.utc))
INSTANCES = st.builds(
    Instance,
    **{
        **every_field(Instance),
        "state": st.sampled_from(ALIVE),
        "launched": MOMENTS,
        "stopped": st.none() | MOMENTS,
        "price": st.none() | st.floats(0.01, 100),
    },
)


@given(INSTANCES)
def test_what_is_remembered_comes_back_as_it_was(instance: Instance) -> None:
    import json

    assert from_json(json.loads(json.dumps(as_json(instance)))) == instance


@pytest.mark.parametrize("junk", [None, {}, {"launched": 3}, {"launched": "2026-11-01", "x": 1}])
def test_what_is_no_instance_is_no_memory(junk: dict[str, object] | None) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(junk)
