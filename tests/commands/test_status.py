from __future__ import annotations

from dataclasses import replace

from support.values import INSTANCE, NOON

from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.status import instance_json, status_lines
from ec2tasks.remote.guard_status import GuardStatus


def test_what_status_tells() -> None:
    found = instance_json(INSTANCE, now=NOON)
    assert (found["age_seconds"], found["cost"]) == (7200, 2.52)
    assert instance_json(replace(INSTANCE, state="stopped"), now=NOON)["cost"] is None
    assert instance_json(replace(INSTANCE, price=None), now=NOON)["cost"] is None


def test_that_commands_do_nothing_is_said_before_it_ends_the_instance() -> None:
    because = "stalled_stop: nothing done for 61 min"
    guard = GuardStatus(reason="a command is on it", ends_in=3540, because=because, end=FinalState.STOP)
    assert status_lines(INSTANCE, guard) == [
        "a command is on it",
        "it stops itself in 59 min (stalled_stop)",
        "nothing done for 61 min: no output, no changed file, processors and GPUs idle",
    ]
