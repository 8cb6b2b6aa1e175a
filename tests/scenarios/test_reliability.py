"""docs/reliability.md says what becomes of a run for each failure in each phase; here its rows are played.

`RELIABILITY=all pytest --timeout 1800 -s tests/scenarios/test_reliability.py` plays all of them and tells
the figures; without it, it plays those named in CHOSEN.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.failing_run import Lane, open_lane
from support.failures import BEFORE, DURING, RESULTS, STEPS, Ended, new_play, play
from support.repository import REPO

PAGE = REPO / "docs" / "reliability.md"
ALL = os.environ.get("RELIABILITY") == "all"  # takes minutes
LANES = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the page's table."""

    phase: str
    failure: str
    code: str
    here: str
    there: str
    type: str

    def __str__(self) -> str:
        return f"{self.phase}, {self.failure}"


def rows() -> list[Row]:
    """Each row of the page's table; an empty first cell is that of the row above."""
    found: list[Row] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        words = [one.strip() for one in line.strip("|").split("|")]
        if len(words) != 6 or words[0] == "phase" or set(line) <= set("|-"):
            continue
        phase = words[0] or found[-1].phase
        typed = words[5].strip("`")
        names = ("failure", "code", "here", "there")
        found.append(Row(phase=phase, **dict(zip(names, words[1:5], strict=True)), type=typed))
    return found


# One row of each failure, and all phases, so that a row more changes nothing else: the cheaper ones.
CHOSEN = {
    "Ctrl-C": "pull",
    "Ctrl-C twice": "run",
    "SIGTERM": "push",
    "the terminal is closed": "run",
    "`kill -9`": "launch",
    "all connections are reset": "pull",
    "the network is away for 2 s": "push",
    "the network stays away, Ctrl-C twice": "run",
    "it restarts": "push",
    "somebody stops it": "launch",
    "somebody terminates it": "end",
    "no capacity": "launch",
    "the disk there is full": "run",
    "the disk here is full": "pull",
    "AWS throttles": "launch",
    "AWS out of reach": "launch",
    "AWS has an error of its own": "end",
    "the answer of AWS is lost": "end",
    "AWS may not be asked to terminate it": "end",
    "AWS may not be asked to end it at all": "end",
}
ROWS = rows()
PLAYED = ROWS if ALL else [row for row in ROWS if CHOSEN.get(row.failure) == row.phase]


def test_the_page_names_only_what_is_tried_here_and_counts_it() -> None:
    for row in ROWS:
        assert row.failure in {*BEFORE, *DURING} or (row.phase, row.failure) in STEPS, row
    assert len({str(row) for row in ROWS}) == len(ROWS)
    assert {row.failure for row in PLAYED} == {row.failure for row in ROWS}
    assert {row.phase for row in PLAYED} == {row.phase for row in ROWS}
    assert f"{len(ROWS)} failures tried" in PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def played(module_local_folder: Path) -> Iterator[dict[Row, Future[Ended]]]:
    """What becomes of each row: played side by side, on a local EC2 for each lane."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(LANES))
        found: dict[Row, Future[Ended]] = {row: Future() for row in PLAYED}
        stack.callback(tell, found)
        left = list(PLAYED)
        for number in range(LANES):
            folder = module_local_folder / f"l{number}"
            folder.mkdir()
            pool.submit(play_in, folder, left, found)
        stack.callback(left.clear)
        yield found


def play_in(folder: Path, left: list[Row], found: dict[Row, Future[Ended]]) -> None:
    """Play what is left, one row after the other, on a local EC2 of this lane's own."""
    with open_lane(folder) as lane:
        while left:
            play_row(lane, row := left.pop(0), folder / f"row{ROWS.index(row)}", found[row])


def play_row(lane: Lane, row: Row, folder: Path, future: Future[Ended]) -> None:
    try:
        run = new_play(lane, row.phase, row.failure, folder)
        future.set_result(play(run, row.failure, "" if row.type == "-" else row.type))
    except BaseException as error:  # noqa: BLE001  # for the row's own test to tell
        future.set_exception(error)


def tell(found: dict[Row, Future[Ended]]) -> None:
    """The figures of the page."""
    ended = [one.result() for one in found.values() if one.done() and one.exception() is None]
    lost, alive = sum(len(one.lost) for one in ended), sum(len(one.alive) for one in ended)
    sys.stderr.write(f"\n{len(ended)} failures tried: {lost} results lost, {alive} instances left running\n")


def amount(here: dict[str, bytes]) -> str:
    return "all" if len(here) == len(RESULTS) else "some" if here else "none"


@pytest.mark.parametrize("row", PLAYED, ids=str)
def test_a_failure_in_a_phase_ends_as_the_page_says(row: Row, played: dict[Row, Future[Ended]]) -> None:
    ended = played[row].result(timeout=900)
    said = ended.said
    assert "Traceback" not in said.err
    code = {"-": "-9"}.get(row.code, row.code)
    assert (str(said.code), amount(ended.here), ended.state) == (code, row.here, row.there), said.err
    if row.failure != "the disk there is full":
        assert ended.here.items() <= RESULTS.items(), "a result here is not whole"
    assert ended.alive == [], "left running"
    assert ended.lost == []
    if row.failure in DURING:
        assert ended.edit == "edited\n", "an edit here is gone"
        assert b"edited\n" in ended.both
    if ended.again:
        assert ended.again.code == 0, ended.again.err
        assert "Traceback" not in ended.again.err
        if row.type.startswith("ec2tasks ") and row.code != "-":
            assert f"`{row.type}`" in said.err, "it does not say what to type"
    if ended.again and row.type != "ec2tasks down":
        assert ended.results == RESULTS


def test_the_page_says_how_to_get_the_figures() -> None:
    assert re.search(
        r"RELIABILITY=all pytest .*tests/scenarios/test_reliability\.py", PAGE.read_text(encoding="utf-8")
    )
