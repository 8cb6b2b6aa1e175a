"""A job: what it is handed, how the instance tells its state, its id."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import JOB

from ec2tasks.base.final_state import FinalState
from ec2tasks.remote.job import (
    JobStatus,
    job_files,
    new_job_id,
    read_status,
)
from ec2tasks.remote.protocol import ProtocolError, read_message

LINE = "job version=1 id=r multi=tmux final_state=stop {} terminal=yes started=1700000000 out=10 {}"
COMMAND = "command=base64:bWFrZSB0cmFpbg=="


def status(line: str) -> JobStatus | None:
    message = read_message(line, "job")
    return read_status(message) if message else None


@pytest.mark.parametrize(
    ("fields", "code", "ended", "state"),
    [
        ("state=running", None, None, "running"),
        ("state=ended code=7 ended=9", 7, 9, "ended"),
        ("state=lost", None, None, "lost"),
        ("state=lost restarted=yes", None, None, "lost"),
    ],
)
def test_what_the_instance_says_of_a_job(
    fields: str, code: int | None, ended: int | None, state: str
) -> None:
    job = status(LINE.format(fields, COMMAND))
    assert job == JobStatus(
        job_id="r",
        multi="tmux",
        final_state=FinalState.STOP,
        code=code,
        lost=state == "lost",
        restarted="restarted" in fields,
        terminal=True,
        fed=False,
        started=1700000000,
        ended=ended,
        kept=(10, 0),
        command="make train",
    )
    assert job.state == state
    assert job.over is (state != "running")


def test_a_field_more_changes_nothing_and_one_less_has_its_default() -> None:
    job = status(LINE.format("gpu=7 state=running", COMMAND))
    assert job == status(LINE.format("state=running", COMMAND))
    least = status("job version=1 id=r state=running started=1")
    assert least
    assert (least.multi, least.final_state, least.command) == ("none", FinalState.LEAVE, None)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ("", "state"),
        ("state=ended", "code"),
        ("state=ended code=x", "code=x"),
        # No shell ends so, and no date is so late: what reckons with them would break.
        ("state=ended code=256", "code=256"),
        ("state=ended code=-1", "code=-1"),
        ("state=ended code=0 ended=99999999999999", "ended=99999999999999"),
        ("state=ended code=0 ended=-1", "ended=-1"),
    ],
)
def test_a_job_of_which_too_little_is_said_is_an_error_not_no_job(fields: str, missing: str) -> None:
    with pytest.raises(ProtocolError, match=f"`{missing}`"):
        status(LINE.format(fields, COMMAND))


@pytest.mark.parametrize("line", ["", "Welcome to Ubuntu", "job 7 of 9 done"])
def test_what_else_a_login_may_print_is_no_job(line: str) -> None:
    assert status(line) is None


@given(st.text(max_size=50))
def test_the_files_hold_the_command_as_it_is(command: str) -> None:
    files = job_files(replace(JOB, command=command))
    assert files["command"] == command


def test_what_is_handed_over_is_quoted() -> None:
    files = job_files(JOB)
    assert files["command"] == "make train"
    assert shlex.split(files["variables"]) == ["export", "TOKEN=it's $5"]


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(min_value=1, max_value=10**9),
)
def test_job_ids_sort_by_time_within_a_second_as_well(moment: datetime, milliseconds: int) -> None:
    later = moment + timedelta(milliseconds=milliseconds)
    assert new_job_id(moment) < new_job_id(later)


def test_no_two_job_ids_of_one_moment_are_the_same() -> None:
    now = datetime(2026, 9, 1, tzinfo=timezone.utc)
    assert len({new_job_id(now) for _ in range(5)}) == 5
