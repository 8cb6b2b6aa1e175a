"""Odd names, odd places, links and changes meanwhile: none of it is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.two_sides import Sides, put, snapshot

from ec2tasks.base.process import Tools
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync.engine import SyncOptions, sync_files


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with one file on both sides."""
    found = Sides(tmp_path)
    put(found.local / "code.py", "file print(1)")
    found.sync()
    return found


def beside(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("*.ec2-*") if path.is_file()}


@pytest.mark.parametrize("name", ["#hash", ";semicolon", "-dash", "a:b", "--", "n" * 250])
def test_a_name_that_means_something_elsewhere(sides: Sides, name: str) -> None:
    put(sides.local / name, "file base")
    sides.sync()
    put(sides.local / name, "file mine")
    put(sides.remote / name, "file theirs")
    sides.sync()
    assert (sides.local / name).read_text() == (sides.remote / name).read_text() == "mine"
    assert beside(sides.local) == {"theirs"}
    assert sides.differences() == []


def test_a_result_in_whose_place_a_pipe_stands_here(sides: Sides) -> None:
    os.mkfifo(sides.local / "out")
    put(sides.remote / "out", "file result")
    sides.sync(push=False)
    assert beside(sides.local) == {"result"}


def test_deleting_here_what_came_through_a_link_there_takes_the_link_alone(
    sides: Sides, tmp_path: Path
) -> None:
    put(tmp_path / "shared/rows", "file dear")
    (sides.remote / "data").symlink_to(tmp_path / "shared")
    sides.sync()
    assert (sides.local / "data/rows").read_text() == "dear"
    put(sides.remote / "data/more", "file made there")
    sides.sync()
    assert (sides.local / "data/more").read_text() == "made there"
    shutil.rmtree(sides.local / "data")
    sides.sync()
    assert not (sides.remote / "data").is_symlink()
    assert (tmp_path / "shared/rows").read_text() == "dear"


def test_a_disk_that_is_away_here_deletes_nothing_there(sides: Sides, tmp_path: Path) -> None:
    put(tmp_path / "disk/rows", "file dear")
    (sides.local / "data").symlink_to(tmp_path / "disk")
    sides.sync()
    (tmp_path / "disk").rename(tmp_path / "away")
    sides.sync(pull=False)
    assert (sides.remote / "data/rows").read_text() == "dear"


@pytest.mark.parametrize("there", ["nothing", "folder", "file", "link to nothing", "link that leads out"])
def test_a_link_that_leads_nowhere_here_stays_on_both_sides_and_hinders_nothing(
    sides: Sides, tmp_path: Path, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (sides.local / "data").symlink_to("/mnt/ec2tasks-no-disk")
    put(tmp_path / "disk/rows", "file theirs")
    theirs = sides.remote / "data"
    match there:
        case "folder":
            put(theirs / "rows", "file theirs")
        case "file":
            put(theirs, "file theirs")
        case "link to nothing":
            theirs.symlink_to("/mnt/ec2tasks-no-disk-there")
        case "link that leads out":
            theirs.symlink_to(tmp_path / "disk")
    before = {path: described for path, described in snapshot(sides.remote).items() if path != "code.py"}
    put(sides.remote / "result", "file dear")
    put(sides.local / "code.py", "file print(2)")
    for _ in range(2):
        sides.sync()
    assert (sides.local / "result").read_text() == "dear"
    assert (sides.remote / "code.py").read_text() == "print(2)"
    assert (sides.local / "data").readlink() == Path("/mnt/ec2tasks-no-disk")
    assert before.items() <= snapshot(sides.remote).items()
    said = [line for line in capsys.readouterr().err.splitlines() if "data" in line]
    assert len(said) == 1, said


def test_a_link_that_leads_nowhere_there_stays_on_both_sides(sides: Sides) -> None:
    (sides.remote / "data").symlink_to("/mnt/ec2tasks-no-disk")
    put(sides.remote / "result", "file dear")
    put(sides.local / "data/rows", "file mine")
    for _ in range(2):
        sides.sync()
    assert (sides.local / "result").read_text() == "dear"
    assert (sides.local / "data/rows").read_text() == "mine"
    assert (sides.remote / "data").readlink() == Path("/mnt/ec2tasks-no-disk")


def test_a_file_there_that_became_a_folder_with_something_ignored_in_it(sides: Sides) -> None:
    put(sides.remote / "code.py", "")
    put(sides.remote / "code.py/__pycache__/x", "file cache")
    put(sides.remote / "result", "file dear")
    sides.sync()
    assert (sides.local / "result").read_text() == "dear"


def test_what_appears_there_while_a_push_is_under_way_comes_home(sides: Sides) -> None:
    put(sides.local / "res", "file mine")
    change = f"printf result >'{sides.remote}/res'"
    sides.use_shell(f'case "$*" in *--backup-dir*) {change} ;; esac\nexec sh -c "$*"')
    sides.sync()
    assert beside(sides.local) == {"result"}


def test_another_client_s_first_push_is_not_taken_for_ours(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    put(sides.local / "code.py", "file mine")
    sides.way()
    theirs = f"[ -e '{sides.remote}/code.py' ] || printf 'their own' >'{sides.remote}/code.py'"
    sides.use_shell(f'{theirs}\nexec sh -c "$*"')
    sides.sync()
    assert snapshot(sides.remote)["code.py"] == "file mine"
    assert beside(sides.local) == {"their own"}


def test_a_push_to_what_another_client_has_filled_meanwhile_replaces_nothing_there(tmp_path: Path) -> None:
    """Both found an empty folder when they came; the second is late, and the first one's job runs."""
    sides = Sides(tmp_path)
    put(sides.local / "a", "file old")
    late = sides.way()
    assert late.empty
    sides.sync(pull=False)
    put(sides.remote / "a", "file new")
    sync_files(sides.local, late, new_job_id(), Tools(), SyncOptions(push=True))
    assert (sides.remote / "a").read_text() == "new"
    sides.sync()
    assert (sides.local / "a").read_text() == "new"
    assert beside(sides.local) == set()
