"""Odd names, odd places, links and changes meanwhile: none of it is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.two_sides import Sides, put, snapshot

from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import Tools
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync.engine import Moves, move


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with one file on both sides."""
    found = Sides(tmp_path)
    put(found.here / "code.py", "file print(1)")
    found.sync()
    return found


def beside(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("*.ec2-*") if path.is_file()}


@pytest.mark.parametrize("name", ["#hash", ";semicolon", "-dash", "a:b", "--", "n" * 250])
def test_a_name_that_means_something_elsewhere(sides: Sides, name: str) -> None:
    put(sides.here / name, "file base")
    sides.sync()
    put(sides.here / name, "file mine")
    put(sides.there / name, "file theirs")
    sides.sync()
    assert (sides.here / name).read_text() == (sides.there / name).read_text() == "mine"
    assert beside(sides.here) == {"theirs"}
    assert sides.differences() == []


def test_a_result_in_whose_place_a_pipe_stands_here(sides: Sides) -> None:
    os.mkfifo(sides.here / "out")
    put(sides.there / "out", "file result")
    sides.sync(push=False)
    assert beside(sides.here) == {"result"}


def test_deleting_here_what_came_through_a_link_there_takes_the_link_alone(
    sides: Sides, tmp_path: Path
) -> None:
    put(tmp_path / "shared/rows", "file dear")
    (sides.there / "data").symlink_to(tmp_path / "shared")
    sides.sync()
    assert (sides.here / "data/rows").read_text() == "dear"
    put(sides.there / "data/more", "file made there")
    sides.sync()
    assert (sides.here / "data/more").read_text() == "made there"
    shutil.rmtree(sides.here / "data")
    sides.sync()
    assert not (sides.there / "data").is_symlink()
    assert (tmp_path / "shared/rows").read_text() == "dear"


def test_a_disk_that_is_away_here_deletes_nothing_there(sides: Sides, tmp_path: Path) -> None:
    put(tmp_path / "disk/rows", "file dear")
    (sides.here / "data").symlink_to(tmp_path / "disk")
    sides.sync()
    (tmp_path / "disk").rename(tmp_path / "away")
    sides.sync(pull=False)
    assert (sides.there / "data/rows").read_text() == "dear"


def test_a_file_there_that_became_a_folder_with_something_ignored_in_it(sides: Sides) -> None:
    put(sides.there / "code.py", "")
    put(sides.there / "code.py/__pycache__/x", "file cache")
    put(sides.there / "result", "file dear")
    sides.sync()
    assert (sides.here / "result").read_text() == "dear"


def test_what_appears_there_while_a_push_is_under_way_comes_home(sides: Sides) -> None:
    put(sides.here / "res", "file mine")
    change = f"printf result >'{sides.there}/res'"
    sides.use_shell(f'case "$*" in *--backup-dir*) {change} ;; esac\nexec sh -c "$*"')
    sides.sync()
    assert beside(sides.here) == {"result"}


def test_a_lone_exclamation_mark_among_the_patterns_is_refused(sides: Sides) -> None:
    (sides.here / ".rsyncignore").write_text("*.tmp\n!\n")
    with pytest.raises(UsageError, match="line 2"):
        sides.sync()


def test_another_client_s_first_push_is_not_taken_for_ours(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    put(sides.here / "code.py", "file mine")
    sides.way()
    theirs = f"[ -e '{sides.there}/code.py' ] || printf 'their own' >'{sides.there}/code.py'"
    sides.use_shell(f'{theirs}\nexec sh -c "$*"')
    sides.sync()
    assert snapshot(sides.there)["code.py"] == "file mine"
    assert beside(sides.here) == {"their own"}


def test_a_push_to_what_another_client_has_filled_meanwhile_replaces_nothing_there(tmp_path: Path) -> None:
    """Both found an empty folder when they came; the second is late, and the first one's job runs."""
    sides = Sides(tmp_path)
    put(sides.here / "a", "file old")
    late = sides.way()
    assert late.empty
    sides.sync(pull=False)
    put(sides.there / "a", "file new")
    move(sides.here, late, new_job_id(), Tools(), Moves(push=True))
    assert (sides.there / "a").read_text() == "new"
    sides.sync()
    assert (sides.here / "a").read_text() == "new"
    assert beside(sides.here) == set()
