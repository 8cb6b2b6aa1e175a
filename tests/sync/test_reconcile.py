"""docs/sync.md says what becomes of a path in every case; here each of its cells is tried with real trees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sync_page import PAGE, cells
from support.two_sides import Sides, do, everything, put, snapshot

CELLS = [one for one in cells() if one[0] in ("known", "new")]
NOW = {
    "unchanged": None,
    "changed": "file {side}, and longer",
    "deleted": "",
    "now a folder": "folder {side} inside",
    "now a link": "link {side}-target",
    "nothing": "",
    "a file": "file {side}",
    "a folder": "folder {side} inside",
    "a link": "link {side}-target",
}


def test_the_tables_are_whole() -> None:
    known = {(local, remote) for which, local, remote, _ in CELLS if which == "known"}
    new = {(local, remote) for which, local, remote, _ in CELLS if which == "new"}
    assert (len(known), len(new)) == (25, 16)


def moves_nothing(sides: Sides) -> None:
    assert sides.differences() == []


@pytest.mark.parametrize(("which", "local", "remote", "cell"), CELLS)
def test_a_cell(which: str, local: str, remote: str, cell: str, tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    (sides.local / "other").write_text("something")
    if which == "known":
        put(sides.local / "it", "file base")
    sides.sync()
    for root, what, side in ((sides.local, local, "h"), (sides.remote, remote, "t")):
        if (now := NOW[what]) is not None:
            put(root / "it", now.format(side=side))
    before_here, before_there = snapshot(sides.local), snapshot(sides.remote)
    had = everything(sides)
    job_id = sides.sync()
    now_here, now_there = snapshot(sides.local), snapshot(sides.remote)
    beside = {path: one for path, one in now_here.items() if f".ec2-{job_id}" in path}
    own_here = {path: one for path, one in now_here.items() if path not in beside}
    assert had <= everything(sides), "something is gone for good"
    expected = {
        "=": (before_here, before_there, False),
        "to there": (before_here, before_here, False),
        "to here": (before_there, before_there, False),
        "stays here": (before_here, before_there, False),
        "both": (before_here, before_here, True),
        "both stay": (before_here, before_there, True),
        "merge": (before_here, before_here, True),
    }[cell]
    assert (own_here, now_there, bool(beside)) == expected
    moves_nothing(sides)


NAMES = st.sampled_from(["a", "b", "d", "d/x", "d/y", "d/e/z"])
KINDS = st.sampled_from(["file", "file", "file", "link", "folder", "gone"])
DEEDS = st.tuples(st.sampled_from(["here", "there"]), NAMES, KINDS)
SYNCS = st.sampled_from([("push",), ("pull",), ("push", "pull")])
History = list[tuple[list[tuple[str, str, str]], tuple[str, ...]]]
HISTORIES = st.lists(st.tuples(st.lists(DEEDS, max_size=5), SYNCS), min_size=1, max_size=4)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES)
def test_no_history_loses_anything(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[list[tuple[str, str, str]], tuple[str, ...]]],
) -> None:
    sides = Sides(tmp_path_factory.mktemp("history"))
    for step, (deeds, ways) in enumerate(history):
        for number, (side, name, kind) in enumerate(deeds):
            do(sides, side, name, kind, f"{step}.{number}")
        had, yours = everything(sides), snapshot(sides.local)
        sides.sync(push="push" in ways, pull="pull" in ways)
        assert had <= everything(sides)
        edited = {name for side, name, _ in deeds if side == "here"}
        for name in edited & yours.keys():
            if yours[name] != "folder":
                assert snapshot(sides.local).get(name) == yours[name], "an edit here was replaced"
    sides.sync()
    moves_nothing(sides)


def test_the_page_names_what_arrives_beside(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    put(sides.local / "a.ipynb", "file base")
    sides.sync()
    put(sides.local / "a.ipynb", "file mine!")
    put(sides.remote / "a.ipynb", "file theirs!!")
    job_id = sides.sync(push=False)
    assert re.search(r"`NAME\.ec2-JOB`", PAGE.read_text(encoding="utf-8"))
    assert (sides.local / f"a.ipynb.ec2-{job_id}").read_text() == "theirs!!"
    assert (sides.local / "a.ipynb").read_text() == "mine!"
