from __future__ import annotations

from dataclasses import replace

from support.values import INSTANCE, NOON

from ec2tasks.remote.guard_status import facts


def test_what_status_tells() -> None:
    found = facts(INSTANCE, now=NOON)
    assert (found["age_seconds"], found["cost"]) == (7200, 2.52)
    assert facts(replace(INSTANCE, state="stopped"), now=NOON)["cost"] is None
    assert facts(replace(INSTANCE, price=None), now=NOON)["cost"] is None
