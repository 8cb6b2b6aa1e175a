from __future__ import annotations

from dataclasses import replace

from support.values import INSTANCE, NOON

from ec2tasks.commands.status import instance_json


def test_what_status_tells() -> None:
    found = instance_json(INSTANCE, now=NOON)
    assert (found["age_seconds"], found["cost"]) == (7200, 2.52)
    assert instance_json(replace(INSTANCE, state="stopped"), now=NOON)["cost"] is None
    assert instance_json(replace(INSTANCE, price=None), now=NOON)["cost"] is None
