from __future__ import annotations

import json
from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import every_field

from ec2tasks.aws.instances import ALIVE, Instance
from ec2tasks.lifecycle.instance_cache import as_json, from_json

MOMENTS = st.datetimes(timezones=st.just(timezone.utc))
INSTANCES = st.builds(
    Instance,
    **{
        **every_field(Instance),
        "state": st.sampled_from(ALIVE),
        "launched": MOMENTS,
        "stopped": st.none() | MOMENTS,
        **dict.fromkeys(("price", "disk_price"), st.none() | st.floats(0.01, 100)),
    },
)


@given(INSTANCES)
def test_what_is_remembered_comes_back_as_it_was(instance: Instance) -> None:
    assert from_json(json.loads(json.dumps(as_json(instance)))) == instance


@pytest.mark.parametrize("junk", [None, {}, {"launched": 3}, {"launched": "2026-11-01", "x": 1}])
def test_what_is_no_instance_is_no_memory(junk: dict[str, object] | None) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(junk)
