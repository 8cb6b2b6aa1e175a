from __future__ import annotations

import pytest

from ec2tasks.local.phases import TARGET_STATES, Action, Phase, decide, ends_for_good


@pytest.mark.parametrize(
    ("state", "phase", "disk", "expected"),
    [
        ("running", Phase.ABSENT, False, ("pending", Action.BOOT)),
        ("pending", Phase.ABSENT, True, ("pending", Action.BOOT)),
        ("running", Phase.BOOTING, True, ("pending", Action.NOTHING)),
        ("pending", Phase.UP, True, ("running", Action.NOTHING)),
        ("running", Phase.ENDING, True, ("pending", Action.NOTHING)),
        ("stopped", Phase.UP, True, ("stopping", Action.END)),
        ("stopped", Phase.BOOTING, True, ("stopping", Action.END)),
        ("stopping", Phase.ENDING, True, ("stopping", Action.NOTHING)),
        ("stopping", Phase.ABSENT, True, ("stopped", Action.NOTHING)),
        ("terminated", Phase.UP, True, ("shutting-down", Action.END)),
        ("shutting-down", Phase.ENDING, True, ("shutting-down", Action.NOTHING)),
        ("shutting-down", Phase.ABSENT, True, ("terminated", Action.DELETE)),
        ("terminated", Phase.ABSENT, False, ("terminated", Action.NOTHING)),
    ],
)
def test_hosts_follow_what_was_asked_for(
    state: str, phase: Phase, disk: bool, expected: tuple[str, Action]
) -> None:
    assert decide(state, phase, disk=disk) == expected


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("state", list(TARGET_STATES))
def test_what_is_shown_is_shown_again(state: str, phase: Phase) -> None:
    shown, _ = decide(state, phase, disk=True)
    assert decide(shown, phase, disk=True)[0] == shown


def test_a_stopped_instance_is_shown_only_once_its_host_has_gone() -> None:
    for phase in Phase:
        shown, _ = decide("stopped", phase, disk=True)
        assert (shown == "stopped") == (phase is Phase.ABSENT)


@pytest.mark.parametrize(
    ("behavior", "spot", "expected"),
    [("stop", False, False), ("terminate", False, True), ("stop", True, True)],
)
def test_shutdown_from_inside_ends_for_good_where_it_must(behavior: str, spot: bool, expected: bool) -> None:
    assert ends_for_good(behavior, spot=spot) == expected
