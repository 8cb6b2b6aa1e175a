"""A job: what it is handed, how the instance tells its state, its id."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

import pytest
from support.values import JOB

from ec2tasks.remote.job import (
    JobStatus,
    forward_options,
    job_files,
    new_job_id,
    parse_status,
    shares_terminal,
)

LINE = "r tmux stop {} yes - 1700000000 {} 10 0 {}"


@pytest.mark.parametrize(
    ("code", "ended", "known", "lost", "state"),
    [("-", "-", None, False, "running"), ("7", "9", 7, False, "ended"), ("lost", "-", None, True, "lost")],
)
def test_what_the_instance_says_of_a_run(
    code: str, ended: str, known: int | None, lost: bool, state: str
) -> None:
    run = parse_status(LINE.format(code, ended, "bWFrZSB0cmFpbg=="))
    assert run == JobStatus(
        job_id="r",
        multi="tmux",
        final_state="stop",
        code=known,
        lost=lost,
        terminal=True,
        fed=False,
        started=1700000000,
        ended=None if ended == "-" else int(ended),
        kept=(10, 0),
        command="make train",
    )
    assert run.state == state
    assert run.over is (state != "running")


@pytest.mark.parametrize(
    "line", ["", "Welcome to Ubuntu", LINE.format("x", "-", "-"), LINE.format("1", "-", "é")]
)
def test_what_else_a_login_may_print_is_no_run(line: str) -> None:
    assert parse_status(line) is None


def test_what_is_handed_over_is_quoted() -> None:
    files = job_files(JOB)
    assert files["command"] == "make train"
    assert shlex.split(files["variables"]) == ["export", "TOKEN=it's $5"]


def test_a_run_with_ports_has_a_connection_of_its_own() -> None:
    assert forward_options(JOB)[:2] == ["-o", "ControlPath=none"]
    assert forward_options(JOB)[-2:] == ["-L", "8888:localhost:8888"]


def test_run_ids_sort_by_time() -> None:
    early = new_job_id(datetime(2026, 9, 1, tzinfo=timezone.utc))
    late = new_job_id(datetime(2026, 11, 1, tzinfo=timezone.utc))
    assert early < late
    assert new_job_id() != new_job_id()


@pytest.mark.parametrize(
    ("makeflags", "shared"),
    [
        ("", False),
        ("k -- EPOCHS=3", False),
        ("-j4 --jobserver-auth=3,4", True),
        (" -j4 --jobserver-auth=fifo:/tmp/GMfifo1 -- A=1", True),
        ("--jobserver-fds=3,4 -j", True),
    ],
)
def test_in_a_parallel_make_the_terminal_is_for_all_recipes(makeflags: str, shared: bool) -> None:
    assert shares_terminal({"MAKEFLAGS": makeflags}) is shared
