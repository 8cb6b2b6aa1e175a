"""`ec2tasks quote`: how long the last runs took, and what would be pushed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from support.values import NOON

from ec2tasks.base.process import Tools
from ec2tasks.commands.quote import OF_EACH, past_runs, push_text
from ec2tasks.records.run import Run
from ec2tasks.sync.push import files_to_push


def ran(command: str, seconds: float | None, ago: int, state: str = "ended") -> Run:
    return Run(
        job=f"{ago:08d}-000000-abcd",
        state=state,
        began=NOON - timedelta(hours=ago),
        command=command,
        phases={} if seconds is None else {"ran": seconds},
        cost=0.1,
    )


def test_the_last_runs_of_each_command_count_and_only_those_that_came_to_their_end() -> None:
    runs = [
        ran("make train", 720, 1),
        ran("make train", 60, 2, state="interrupted"),
        ran("make eval", None, 3),
        ran("make  eval", 30, 4),
        *(ran("make train", 600 + ago, ago) for ago in range(5, 10)),
    ]
    train, evaluation = past_runs(runs)
    assert (train.command, train.seconds) == ("make train", (720, 605, 606))
    assert len(train.seconds) == OF_EACH
    assert (evaluation.command, evaluation.seconds) == ("make eval", (30,))


@pytest.mark.parametrize(("hourly", "says"), [(0.66, "; as long again costs $0.13"), (None, "")])
def test_as_long_again_costs_what_the_newest_took(hourly: float | None, says: str) -> None:
    (past,) = past_runs([ran("make train", 720, 1), ran("make train", 60, 2)])
    assert past.line(hourly) == f"`make train` took 12 min, 1 min{says}"


def test_what_would_be_pushed_is_what_no_pattern_keeps_here(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "data").mkdir(parents=True)
    assert push_text(files_to_push(shop, Tools())) == "0 files, 0 B"
    (shop / "data" / "a.bin").write_bytes(b"x" * 2000)
    (shop / "out.log").write_bytes(b"x" * 5000)
    (shop / ".rsyncignore").write_text("*.log\n", encoding="utf-8")
    said = push_text(files_to_push(shop, Tools()))
    assert said.startswith("2 files, 2.0 kB; the biggest: data")
    assert "out.log" not in said
