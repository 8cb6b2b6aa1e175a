"""Files that several runs write: tails joined, and what another run of a sweep fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.two_sides import OWN, Sides

from ec2tasks.base.process import Tools
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync import engine
from ec2tasks.sync.engine import SyncOptions, sync_files
from ec2tasks.sync.shared import joined

SWEEP = "20261101-120000-0000000"


@pytest.mark.parametrize(
    ("here", "there", "known", "both"),
    [
        (b"a\nb\n", b"a\nc\n", 2, b"a\nb\nc\n"),
        (b"a\n", b"a\nc\n", 2, b"a\nc\n"),
        (b"a\nb\n", b"a\n", 2, b"a\nb\n"),
        # Without a common past, equal first lines are a heading.
        (b"lr,acc\n1,2\n", b"lr,acc\n3,4\n", 0, b"lr,acc\n1,2\n3,4\n"),
        (b"1\n", b"2\n1\n", 0, b"1\n2\n1\n"),
        (b"", b"1\n", 0, b"1\n"),
        # A last line that nothing ended is no part of the next.
        (b"a\nb", b"a\nc\n", 2, b"a\nb\nc\n"),
        (b"a\nb", b"a\nc", 1, b"a\nb\nc"),
        (b"a\r\nb", b"a\r\nc", 1, b"a\r\nb\r\nc"),
        # Anything else than the end was changed, on either side.
        (b"A\nb\n", b"a\nc\n", 2, None),
        (b"a\nb\n", b"A\nc\n", 2, None),
        (b"a\n", b"", 2, None),
    ],
)
def test_tails_are_joined(here: bytes, there: bytes, known: int, both: bytes | None) -> None:
    assert joined(here, there, known) == both


LINES = st.lists(st.sampled_from(["a", "b", "lr,acc", ""]), max_size=6).map(
    lambda lines: "".join(f"{line}\n" for line in lines).encode()
)


@given(LINES.filter(bool), LINES, LINES)
def test_nothing_of_either_side_is_lost_or_doubled(past: bytes, mine: bytes, theirs: bytes) -> None:
    assert joined(past + mine, past + theirs, len(past)) == past + mine + theirs


@given(LINES, LINES)
def test_without_a_past_all_lines_are_there_but_the_equal_first_ones(mine: bytes, theirs: bytes) -> None:
    both = joined(mine, theirs, 0)
    assert both is not None
    assert both.startswith(mine)
    assert theirs.endswith(both[len(mine) :])
    dropped = theirs[: len(theirs) - len(both[len(mine) :])]
    assert mine.startswith(dropped)


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Sides, Sides]:
    """Two instances of one project."""
    first, second = Sides(tmp_path / "1", "i-1"), Sides(tmp_path / "2", "i-2")
    second.local = first.local
    return first, second


def sync(sides: Sides, *, push: bool = False, sweep: str = SWEEP) -> str:
    """Push to one of them, or pull from it; the job that it was for."""
    options = SyncOptions(push=push, pull=not push, append=("results.csv", "logs/*"), sweep=sweep)
    job_id = new_job_id()
    sync_files(sides.local, sides.way(), job_id, Tools(), options)
    return job_id


def add(folder: Path, line: str, name: str = "results.csv") -> None:
    with (folder / name).open("a") as file:
        file.write(f"{line}\n")


def test_what_two_runs_add_to_one_file_is_joined_again_and_again(machines: tuple[Sides, Sides]) -> None:
    first, second = machines
    here = first.local / "results.csv"
    for sides in machines:
        sync(sides, push=True)
        add(sides.remote, "lr,acc")
    for round_ in range(2):
        for name, sides in (("one", first), ("three", second)):
            add(sides.remote, f"{name} {round_}")
        sync(first)
        sync(second)
        for sides in machines:
            sync(sides, push=True)
            assert (sides.remote / "results.csv").read_text() == here.read_text()
    assert here.read_text() == "lr,acc\none 0\nthree 0\none 1\nthree 1\n"
    assert [path.name for path in first.local.iterdir() if "ec2-" in path.name] == []


def test_tails_are_joined_once_though_the_pull_is_killed_then(
    machines: tuple[Sides, Sides], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, _ = machines
    own, as_killed = first.local / OWN, tmp_path / "as-killed"
    add(first.local, "a")
    sync(first, push=True)
    add(first.local, "mine")
    add(first.remote, "theirs")
    monkeypatch.setattr(engine, "prune_replaced", lambda *_: shutil.copytree(own, as_killed))
    sync(first)
    monkeypatch.undo()
    shutil.rmtree(own)
    as_killed.rename(own)
    sync(first)
    assert (first.local / "results.csv").read_text() == "a\nmine\ntheirs\n"


def test_a_file_that_was_rewritten_is_kept_on_both_sides(machines: tuple[Sides, Sides]) -> None:
    first, _ = machines
    add(first.local, "a")
    sync(first, push=True)
    add(first.local, "mine")
    (first.remote / "results.csv").write_text("other\n")
    job_id = sync(first)
    assert (first.local / "results.csv").read_text() == "a\nmine\n"
    assert (first.local / f"results.csv.ec2-{job_id}").read_text() == "other\n"


def test_what_another_run_of_the_sweep_fetched_gives_way_and_what_is_yours_stays(
    machines: tuple[Sides, Sides],
) -> None:
    first, second = machines
    (first.remote / "best.txt").write_text("first")
    (second.remote / "best.txt").write_text("second one")
    sync(first)
    job_id = sync(second)
    best = first.local / "best.txt"
    assert best.read_text() == "second one"
    assert (first.local / ".ec2tasks/replaced" / job_id / "best.txt").read_text() == "first"
    best.write_text("mine")
    (first.remote / "best.txt").write_text("first again")
    job_id = sync(first)
    assert best.read_text() == "mine"
    assert (first.local / f"best.txt.ec2-{job_id}").read_text() == "first again"


def test_without_a_sweep_both_are_kept(machines: tuple[Sides, Sides]) -> None:
    for number, sides in enumerate(machines):
        (sides.remote / "best.txt").write_text("x" * (number + 1))
        job_id = sync(sides, sweep="")
    assert (machines[0].local / f"best.txt.ec2-{job_id}").exists()


def test_what_two_runs_made_alike_is_as_old_as_the_first(machines: tuple[Sides, Sides]) -> None:
    for time, sides in zip((100, 200), machines, strict=True):
        made = sides.remote / "data.csv"
        made.write_text("1\n")
        os.utime(made, (time, time))
        sync(sides)
    assert (machines[0].local / "data.csv").stat().st_mtime == 100
