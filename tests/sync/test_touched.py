"""A change there is known by what can't be set by hand, and content decides what no time can."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.two_sides import Sides, everything, put, snapshot

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.sync import compare, pull, stage
from ec2tasks.sync.gate import RefusedAnswerError
from ec2tasks.sync.rsync import run_rsync
from ec2tasks.sync.touched import _just_before, changed_since, touched_since


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a result on both sides."""
    found = Sides(tmp_path)
    put(found.local / "code.py", "file print(1)")
    put(found.local / "result", "file score=0.10")
    found.sync()
    return found


def beside(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("*.ec2-*") if path.is_file()}


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def renamed(path: Path, text: str) -> None:
    path.with_name("new").write_text(text)
    path.with_name("new").rename(path)


def unpacked(path: Path, text: str) -> None:
    """As tar leaves it: with the time that the archive says."""
    status = path.stat()
    draft = path.with_name("draft")
    draft.write_text(text)
    os.utime(draft, ns=(status.st_mtime_ns, status.st_mtime_ns))
    with tarfile.open(path.with_name("a.tar"), "w") as archive:
        archive.add(draft, path.name)
    with tarfile.open(path.with_name("a.tar")) as archive:
        archive.extractall(path.parent, filter="tar")
    draft.unlink()
    path.with_name("a.tar").unlink()


WAYS: list[Callable[[Path, str], None]] = [in_place, renamed, unpacked]


def forge(path: Path, text: str, way: Callable[[Path, str], None] = in_place) -> None:
    """Give a file another content of the same length, with the time that it had."""
    before = path.stat()
    way(path, text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("way", WAYS)
def test_a_result_of_the_old_size_and_time_comes_home(sides: Sides, way: Callable[[Path, str], None]) -> None:
    forge(sides.remote / "result", "score=0.91", way)
    assert [change.reason for change in sides.differences()] == ["changed there"]
    sides.sync(push=False)
    assert (sides.local / "result").read_text() == "score=0.91"
    assert {path.read_text() for path in sides.local.glob(".ec2tasks/replaced/*/result")} == {"score=0.10"}
    assert sides.differences() == []


def test_it_comes_home_through_a_push_that_knew_nothing_of_it_and_after_a_failure(sides: Sides) -> None:
    forge(sides.remote / "result", "score=0.91")
    put(sides.local / "code.py", "file print(2)")
    sides.sync(pull=False)
    plain = sides.shell.read_text()
    sides.use_shell('case "$*" in *--sender*) exit 255 ;; esac\nexec sh -c "$*"')
    with pytest.raises(Failure, match="connection broke"):
        sides.sync()
    sides.shell.write_text(plain)
    sides.sync()
    assert (sides.local / "result").read_text() == "score=0.91"


def test_what_both_changed_is_kept_twice_though_theirs_looks_unchanged(sides: Sides) -> None:
    forge(sides.remote / "result", "score=0.91")
    put(sides.local / "result", "file mine, longer")
    sides.sync(pull=False)
    assert beside(sides.local) == {"score=0.91"}
    assert (sides.remote / "result").read_text() == "mine, longer"
    assert sides.differences() == []


def test_what_is_touched_but_the_same_moves_nothing(sides: Sides) -> None:
    forge(sides.remote / "result", "score=0.10")
    os.link(sides.remote / "code.py", sides.remote / ".ec2tasks/hard")
    assert sides.differences() == []
    sides.sync()
    assert beside(sides.local) == set()


def test_what_was_pushed_is_not_looked_into_again(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def same_contents(_transfer: object, paths: list[str]) -> set[str]:
        asked.extend(paths)
        return set(paths)

    monkeypatch.setattr(compare, "same_contents", same_contents)
    for number in range(3):
        put(sides.local / "code.py", f"file print({number})")
        put(sides.local / f"new{number}", "file x")
        sides.sync()
    assert asked == []


def test_what_another_touches_while_yours_is_pushed_comes_home(sides: Sides) -> None:
    put(sides.local / "code.py", "file print(2)")
    result = sides.remote / "result"
    new = sides.home / "new"
    forged = f"printf score=0.91 >'{new}'; touch -r '{result}' '{new}'; mv '{new}' '{result}'"
    sides.use_shell(f'case "$*" in *--backup-dir*) {forged} ;; esac\nexec sh -c "$*"')
    sides.sync(pull=False)
    sides.use_shell('exec sh -c "$*"')
    sides.sync(push=False)
    assert (sides.local / "result").read_text() == "score=0.91"


def test_one_that_is_replaced_by_its_like_while_it_is_fetched_comes_whole(sides: Sides) -> None:
    big = sides.remote / "big"
    big.write_bytes(b"a" * 3_000_000)
    forged = f"cp -p '{big}' old; tr a-b b-c <old >new; touch -r old new; mv new '{big}'"
    around = f'{forged}; sh -c "$*"; code=$?; {forged}; touch did; exit $code'
    sides.use_shell(f'case "$*" in *--sender*) [ -e did ] || {{ {around}; }} ;; esac\nexec sh -c "$*"')
    sides.sync(push=False)
    assert (sides.local / "big").read_bytes() == (sides.remote / "big").read_bytes() == b"c" * 3_000_000


SECOND = 1_700_000_000 * 10**9


def test_a_whole_second_is_no_word_on_the_content(tmp_path: Path) -> None:
    """A file system that keeps seconds: of one size and second, both are looked into."""
    sides = Sides(tmp_path)
    put(sides.local / "other", "file x")
    sides.sync()
    put(sides.local / "result", "file score=0.10")
    put(sides.remote / "result", "file score=0.91")
    os.utime(sides.local / "result", ns=(SECOND, SECOND))
    os.utime(sides.remote / "result", ns=(SECOND + 400_000_000, SECOND + 400_000_000))
    (sides.local / "result").chmod(0o755)
    sides.sync()
    assert beside(sides.local) == {"score=0.91"}
    put(sides.local / "same", "file alike")
    put(sides.remote / "same", "file alike")
    os.utime(sides.local / "same", ns=(SECOND, SECOND))
    os.utime(sides.remote / "same", ns=(SECOND + 5, SECOND + 5))
    sides.sync()
    assert beside(sides.local) == {"score=0.91"}
    assert sides.differences() == []


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["here", "there"]),
        st.sampled_from(["a", "b", "d/c"]),
        st.sampled_from(["forge", "write", "second", "mode", "sync", "push", "pull"]),
    ),
    max_size=9,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(DEEDS)
def test_no_history_of_forged_times_loses_a_content(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, str, str]]
) -> None:
    sides = Sides(tmp_path_factory.mktemp("history"))
    for name in ("a", "b", "d/c"):
        put(sides.local / name, "file 000")
    sides.sync()
    for number, (side, name, deed) in enumerate(deeds, start=1):
        path = (sides.local if side == "here" else sides.remote) / name
        had = everything(sides)
        if deed in ("sync", "push", "pull"):
            sides.sync(push=deed != "pull", pull=deed != "push")
            assert had <= everything(sides)
        elif side == "there" and deed == "forge":
            forge(path, f"{number:03}")
        elif deed == "mode":
            path.chmod(path.stat().st_mode ^ 0o100)
        else:
            path.write_text(f"{number:03}")
            if deed == "second":
                # What is set here to size and time of before is nobody's to tell.
                late = SECOND * number if (side, name, deed) in deeds[: number - 1] else SECOND
                os.utime(path, ns=(SECOND + number, late + number * (side == "there")))
    had = everything(sides)
    sides.sync()
    assert had <= everything(sides)
    assert snapshot(sides.remote).items() <= snapshot(sides.local).items()
    assert sides.differences() == []


def test_the_time_that_the_instance_says_is_one(sides: Sides) -> None:
    answer = touched_since(sides.way(), Tools(), "")
    assert answer.changed == {}
    (sides.remote / "result").chmod(0o600)
    assert touched_since(sides.way(), Tools(), answer.now).changed.keys() == {"result"}
    assert _just_before("1700000000.0100000000") == "1699999999.990000000"
    assert _just_before("`reboot`") == ""
    lying = replace(sides.way(), remotely=lambda _argv: ["printf", "soon\\0\\0"])
    with pytest.raises(RefusedAnswerError, match="no time"):
        touched_since(lying, Tools(), "")


def test_folders_that_were_swapped_are_told_by_what_is_in_them(sides: Sides) -> None:
    """Their files are as they were, to their size and times, under other names."""
    for name in ("best", "last"):
        put(sides.remote / name / "deep" / "score", f"file {name}")
        os.utime(sides.remote / name / "deep" / "score", (1e9, 1e9))
    sides.sync()
    for before, after in (("best", "way"), ("last", "best"), ("way", "last")):
        (sides.remote / before).rename(sides.remote / after)
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)
    assert (sides.local / "best" / "deep" / "score").read_text() == "last"


def test_what_is_behind_a_link_there_is_told_by_its_last_change_too(sides: Sides) -> None:
    result = sides.home / "disk" / "result"
    put(result, "file 0.10")
    os.utime(result, (1e9, 1e9))
    (sides.remote / "out").symlink_to(result.parent)
    sides.sync()
    put(result, "file 0.91")
    os.utime(result, (1e9, 1e9))
    sides.sync()
    assert (sides.local / "out" / "result").read_text() == "0.91"
    assert beside(sides.local) == set()


def test_a_folder_that_took_the_place_of_another_behind_a_link_there_is_told_by_its_inode(
    sides: Sides,
) -> None:
    """What is in it is as old as what was there, and what is written to it later hides its rename."""
    disk = sides.home / "disk"
    for name in ("best", "last"):
        put(disk / name / "deep" / "score", f"file {name}")
        os.utime(disk / name / "deep" / "score", (1e9, 1e9))
    (sides.remote / "out").symlink_to(disk)
    sides.sync()
    for before, after in (("best", "way"), ("last", "best"), ("way", "last")):
        (disk / before).rename(disk / after)
        put(disk / after / "note", "file written later")
    sides.sync()
    assert (sides.local / "out" / "best" / "deep" / "score").read_text() == "last"
    assert (sides.local / "out" / "last" / "deep" / "score").read_text() == "best"
    assert beside(sides.local) == set()
    sides.sync()
    assert sides.differences() == []


def test_all_that_changed_since_is_told_also_what_tells_itself(sides: Sides) -> None:
    way, there = sides.way(), sides.remote
    for name in ("still", "written", "swapped", "unpacked", "moved/in/old"):
        put(there / name, f"file {name}")
    os.utime(there / "unpacked", ns=(5, 5))
    time.sleep(0.05)  # more than the grain of a clock for files
    since = touched_since(way, Tools(), "").now
    assert changed_since(way, Tools(), since) == set()
    in_place(there / "written", "other")
    renamed(there / "swapped", "other")
    unpacked(there / "unpacked", "other")
    put(there / "new", "file new")
    (there / "moved").rename(there / "to")
    expected = {"written", "swapped", "unpacked", "new", "to/in/old"}
    assert changed_since(way, Tools(), since) == expected


def test_where_it_can_t_be_told_what_changed_nothing_passes_for_unchanged(sides: Sides) -> None:
    assert changed_since(sides.way(), Tools(), "") is None
    tools = sides.home / "bin"
    tools.mkdir()
    (tools / "find").write_text("#!/bin/sh\nexit 1\n")
    (tools / "find").chmod(0o755)
    way = replace(
        sides.way(),
        remotely=lambda argv: [
            "env",
            f"HOME={sides.home}",
            f"PATH={tools}:{os.environ['PATH']}",
            *argv,
        ],
    )
    assert changed_since(way, Tools(), "1700000000.5") is None


@pytest.mark.parametrize("way_", WAYS)
def test_of_many_files_one_that_changes_while_they_are_fetched_arrives_whole(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, way_: Callable[[Path, str], None]
) -> None:
    monkeypatch.setattr(stage, "MANY", 1)
    monkeypatch.setattr(pull, "MANY", 1)
    put(sides.remote / "out/model", "file first half, first half")
    put(sides.remote / "out/other", "file other")
    fetched, looks = run_rsync, list[list[str]]()

    def run(argv: list[str], *some: Any, **more: Any) -> object:
        result = fetched(argv, *some, **more)
        looks.append(argv)
        if len(looks) == 1:
            way_(sides.remote / "out/model", "later half, a later half, x")
        return result

    monkeypatch.setattr(stage, "run_rsync", run)
    sides.sync()
    assert (sides.local / "out/model").read_text() == "later half, a later half, x"
    assert len(looks) == 2, "in one go, then the one that changed"
    assert beside(sides.local) == set()
