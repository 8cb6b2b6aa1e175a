from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import (
    OWN_FOLDER,
    check_writable,
    file_system_time,
    make_own_folder,
    store_identity,
    stored_identity,
    sync_lock,
)


def test_a_project_stays_what_it_is_known_as_wherever_it_is_moved_and_a_copy_is_another(
    tmp_path: Path,
) -> None:
    first, moved, copy = tmp_path / "shop", tmp_path / "moved", tmp_path / "copy"
    first.mkdir()
    assert stored_identity(first) == ""
    store_identity(first, "abc")
    assert stored_identity(first) == "abc"
    shutil.copytree(first, copy)
    first.rename(moved)
    assert (stored_identity(moved), stored_identity(copy)) == ("abc", "")
    (moved / ".ec2tasks" / "project").write_bytes(b"\xff")
    assert stored_identity(moved) == ""


def test_git_does_not_see_it(tmp_path: Path) -> None:
    assert make_own_folder(tmp_path) == make_own_folder(tmp_path) == tmp_path / OWN_FOLDER
    assert (tmp_path / OWN_FOLDER / ".gitignore").read_text() == "*\n"


def test_a_file_in_its_place_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / OWN_FOLDER).touch()
    with pytest.raises(Failure, match="can't be written"):
        make_own_folder(tmp_path)
    assert stored_identity(tmp_path) == ""
    store_identity(tmp_path, "abc")  # says nothing: the identity can be told without it


def test_the_clock_is_that_of_the_project_s_file_system(tmp_path: Path) -> None:
    with sync_lock(tmp_path):
        before = file_system_time(tmp_path)
        (tmp_path / "file").touch()
        assert before <= (tmp_path / "file").stat().st_mtime_ns <= file_system_time(tmp_path)


def test_what_a_sync_has_started_holds_its_lock(tmp_path: Path) -> None:
    with sync_lock(tmp_path) as lock:
        tool = Tools(held=(lock,)).start(["cat"], stdin=subprocess.PIPE)
    with (tmp_path / OWN_FOLDER / "lock").open("w") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tool.communicate()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    "inner", ["lock", "project", ".gitignore", "said", "withheld", "names", "synced/i-0.db", "logs/one"]
)
def test_nothing_is_written_through_a_link_that_a_clone_brought(inner: str, tmp_path: Path) -> None:
    victim, missing, root = tmp_path / "victim", tmp_path / "missing", tmp_path / "shop"
    victim.write_text("dear")
    own = root / OWN_FOLDER / inner
    own.parent.mkdir(parents=True)
    for target in (victim, missing):
        own.symlink_to(target)
        with pytest.raises(Failure, match="is a link"):
            check_writable(root)
        with pytest.raises(Failure, match="is a link"), sync_lock(root):
            pass
        store_identity(root, "abc")
        assert stored_identity(root) == ""
        own.unlink()
    assert victim.read_text() == "dear"
    assert not missing.exists()
