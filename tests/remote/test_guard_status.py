"""What the guard of an instance says, as read here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.final_state import FinalState
from ec2tasks.remote.guard_status import GuardStatus, read_state
from ec2tasks.remote.protocol import ProtocolError

STATES = Path(__file__).parent / "data" / "guard_state"
STATE = "armed 3\nnow 100\nlast_active 90\nreason x is y\nends_in {}\nbecause z\nend stop\n"


@pytest.mark.parametrize(("word", "ends_in"), [("-", None), ("0", 0), ("1800", 1800)])
def test_the_guard_s_words_are_read(word: str, ends_in: int | None) -> None:
    status = read_state(STATE.format(word))
    assert status == GuardStatus(reason="x is y", ends_in=ends_in, because="z", end=FinalState.STOP)


@given(st.text())
def test_lines_that_are_not_the_guard_s_are_no_status(text: str) -> None:
    assert read_state(text) is None
    with pytest.raises(ProtocolError, match="`soon`"):
        read_state(STATE.format("soon"))


def test_an_earlier_guard_s_state_is_understood() -> None:
    status = read_state((STATES / "0.1.0.txt").read_text())
    assert status == GuardStatus(
        reason="kim is logged in", ends_in=1800, because="max_hours", end=FinalState.STOP
    )
    assert read_state((STATES / "more_lines.txt").read_text()) == status


def test_what_a_state_leaves_out_has_a_default() -> None:
    status = read_state((STATES / "only_ends_in.txt").read_text())
    assert status == GuardStatus(reason="", ends_in=1800, because="", end=FinalState.STOP)


def test_a_state_without_what_is_needed_is_an_error_that_names_it() -> None:
    with pytest.raises(ProtocolError, match="`ends_in`"):
        read_state((STATES / "without_ends_in.txt").read_text())


IN_USE = "a session or a command of ec2tasks is on it"
ENDED = "what was on it has just ended"
NOBODY = "nobody is on it, and no command runs"
LATER = "idle_stop counts once nobody is on it and no command runs"


@pytest.mark.parametrize(
    ("said", "now", "meant"),
    [
        # its reason, ends_in, because, hours_left; whether it is in use now; reason, ends_in, because
        ((NOBODY, 900, f"idle_stop: {NOBODY}", "-"), "yes", (IN_USE, None, LATER)),
        ((NOBODY, 900, f"idle_stop: {NOBODY}", "7200"), "yes", (IN_USE, 7200, "max_hours")),
        ((NOBODY, 60, "max_hours", "60"), "yes", (IN_USE, 60, "max_hours")),
        ((NOBODY, 900, f"idle_stop: {NOBODY}", "-"), "no", (NOBODY, 900, f"idle_stop: {NOBODY}")),
        (("kim is logged in", "-", LATER, "-"), "yes", (IN_USE, None, LATER)),
        (("kim is logged in", "-", LATER, "-"), "no", ("kim is logged in", None, LATER)),
        ((IN_USE, "-", LATER, "-"), "yes", (IN_USE, None, LATER)),
        ((IN_USE, "-", LATER, "-"), "no", (ENDED, 1800, f"idle_stop: {ENDED}")),
        ((IN_USE, 7200, "max_hours", "7200"), "no", (ENDED, 1800, f"idle_stop: {ENDED}")),
        ((IN_USE, 60, "max_hours", "60"), "no", (ENDED, 60, "max_hours")),
        ((IN_USE, 60, "stalled_stop: x", "-"), "yes", (IN_USE, 60, "stalled_stop: x")),
        ((IN_USE, 60, "stalled_stop: x", "-"), "no", (ENDED, 1800, f"idle_stop: {ENDED}")),
        ((IN_USE, "-", LATER, "-"), "", (IN_USE, None, LATER)),
    ],
)
def test_what_changed_since_the_guard_s_last_look_counts(
    said: tuple[str, object, str, str], now: str, meant: tuple[str, int | None, str]
) -> None:
    reason, ends_in, because, hours = said
    status = read_state(
        f"armed 3\nreason {reason}\nends_in {ends_in}\nbecause {because}\n"
        f"idle_stop 1800\nhours_left {hours}\nin_use {now}\n"
    )
    assert status
    assert (status.reason, status.ends_in, status.because) == meant
