"""What `status` and `ls` say of an instance in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.values import INSTANCE

from ec2tasks.cli.listing import show_table
from ec2tasks.commands.status import instance_json, status_lines


def test_time_and_cost_are_those_since_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(timezone.utc)
    runs = replace(INSTANCE, state="running", launched=now - timedelta(hours=2), price=0.5)
    stopped = replace(runs, state="stopped", stopped=now - timedelta(hours=1), disk_price=0.0089)
    show_table([runs, stopped, replace(stopped, stopped=None, disk_price=None)])
    heading, *rows = capsys.readouterr().out.splitlines()
    assert "SINCE START" in heading
    assert "2.0 h" in rows[0]
    assert "$1.0" in rows[0]
    assert [row.split()[-2] for row in rows[:2]] == ["$0.50/h", "$0.0089/h"]
    assert rows[2].endswith("not known  -")
    assert "stopped for 1.0 h" in rows[1]
    assert [row.split()[-1] for row in rows[1:]] == ["-", "-"]
    assert instance_json(stopped)["age_seconds"] is None
    assert str(instance_json(stopped)["stopped"]).startswith("20")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Client.UserInitiatedShutdown: User initiated shutdown", "on request"),
        ("Server.SpotInstanceShutdown: Instance was stopped due to interruption", "took it back"),
        ("Server.Odd: something else", "stopped: Server.Odd"),
    ],
)
def test_why_it_stopped_is_said_in_words(reason: str, said: str) -> None:
    (line,) = status_lines(replace(INSTANCE, state="stopped", reason=reason), None)
    assert said in line
