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
