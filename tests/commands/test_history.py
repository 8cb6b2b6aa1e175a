"""The jobs of an instance as a table, and which of them is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.values import job_status

from ec2tasks.base.errors import Failure
from ec2tasks.commands.history import pick_job, table_rows
from ec2tasks.remote.job import new_job_id

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)
BEGAN = datetime(2026, 11, 29, 9, 12, tzinfo=timezone.utc)
SERVE = job_status(new_job_id(BEGAN), started=int(BEGAN.timestamp()))


@pytest.mark.parametrize(
    ("values", "state", "code", "ran", "command"),
    [
        ({}, "running", "-", "2.8 h", "make serve"),
        ({"code": 3, "ended": SERVE.started + 90}, "ended", "3", "2 min", "make serve"),
        ({"lost": True}, "lost", "-", "-", "make serve"),
        ({"started": SERVE.started + 86400}, "running", "-", "0.0 s", "make serve"),  # its clock is not ours
        ({"command": None}, "running", "-", "2.8 h", "(shell)"),
        ({"command": "# notebook\nlook() {"}, "running", "-", "2.8 h", "notebook"),
        ({"command": "x" * 100}, "running", "-", "2.8 h", "x" * 59 + "…"),
    ],
)
def test_a_job_in_the_table(values: dict[str, object], state: str, code: str, ran: str, command: str) -> None:
    _heading, row = table_rows([replace(SERVE, **values)], NOW)  # type: ignore[arg-type]
    assert (row[0], row[1], row[2], row[4], row[5]) == (
        f"{BEGAN.astimezone():%H%M}",
        state,
        code,
        ran,
        command,
    )


@pytest.mark.parametrize(("later", "since"), [(0, "%H:%M:%S"), (2, "%Y-%m-%d %H:%M")])
def test_since_when_is_told_with_the_day_where_that_is_another(later: int, since: str) -> None:
    _heading, row = table_rows([SERVE], BEGAN + timedelta(days=later))
    assert row[3] == f"{BEGAN.astimezone():{since}}"


def test_without_a_name_the_newest_is_meant_and_of_none_there_is_none() -> None:
    older = replace(SERVE, job_id=new_job_id(datetime(2026, 11, 28, tzinfo=timezone.utc)))
    assert pick_job([SERVE, older], "") is SERVE
    assert pick_job([SERVE, older], older.job_id[:8]) is older
    with pytest.raises(Failure, match="nothing has run"):
        pick_job([], "")
