"""What to do with a host, from the state that the account asks for and how far the host is; pure."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """How far a host is."""

    ABSENT = "absent"
    BOOTING = "booting"
    UP = "up"
    ENDING = "ending"


class Action(enum.Enum):
    """What to do with a host."""

    NOTHING = "nothing"
    BOOT = "boot"
    END = "end"
    DELETE = "delete"


TARGET_STATES = {
    "pending": "running",
    "running": "running",
    "stopping": "stopped",
    "stopped": "stopped",
    "shutting-down": "terminated",
    "terminated": "terminated",
}
RUN_STATES = {Phase.ABSENT: "pending", Phase.BOOTING: "pending", Phase.UP: "running", Phase.ENDING: "pending"}
TRANSITIONAL_STATES = {"stopped": "stopping", "terminated": "shutting-down"}


def decide(state: str, phase: Phase, *, disk: bool) -> tuple[str, Action]:
    """The state to show and the action to take, from the state in the account and the host's phase."""
    target = TARGET_STATES[state]
    if target == "running":
        return RUN_STATES[phase], Action.BOOT if phase is Phase.ABSENT else Action.NOTHING
    if phase is Phase.ABSENT:
        return target, Action.DELETE if target == "terminated" and disk else Action.NOTHING
    return TRANSITIONAL_STATES[target], Action.NOTHING if phase is Phase.ENDING else Action.END


def ends_for_good(behavior: str, *, spot: bool) -> bool:
    """Whether a shutdown from inside terminates the instance; a one-time spot instance can't be stopped."""
    return spot or behavior == "terminate"
