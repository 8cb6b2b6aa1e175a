"""What is ignored never moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import ScratchProject
from support.two_sides import OWN, Sides, contents, put

from ec2tasks.base.errors import UsageError
from ec2tasks.sync.ignore import DEFAULT_IGNORED, filter_argv


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a few files on both sides."""
    found = Sides(tmp_path)
    (found.local / ".rsyncignore").write_text("*.ignored\n")
    put(found.local / "code.py", "file print(1)")
    put(found.local / "data/rows", "file 1 2 3")
    found.sync()
    return found


def test_what_never_moves(tmp_path: Path) -> None:
    assert "--exclude=.ec2tasks/" in filter_argv(tmp_path)
    assert {f"--exclude={one}" for one in DEFAULT_IGNORED} <= set(filter_argv(tmp_path))
    (tmp_path / ".rsyncignore").write_text("*.tmp\n")
    assert filter_argv(tmp_path)[-3:] == [
        f"--exclude-from={tmp_path / '.rsyncignore'}",
        "--exclude=[n]ode_modules",
        "--exclude=.git",
    ]


def test_a_pattern_added_later_deletes_nothing(sides: Sides) -> None:
    (sides.local / ".rsyncignore").write_text("data\n")
    put(sides.local / "data/rows", "file other")
    sides.sync()
    assert (sides.remote / "data/rows").read_text() == "1 2 3"
    (sides.local / ".rsyncignore").write_text("")
    sides.sync()
    assert (sides.local / "data/rows").read_text() == "other"


def test_ignored_files_stay_where_they_are(warm: ScratchProject) -> None:
    warm.write(".rsyncignore", "*.secret\n")
    warm.write("a.secret", "x")
    try:
        said = warm.ec2tasks("run", "ls -a; touch b.secret c.result")
    finally:
        (warm.root / ".rsyncignore").unlink()
        warm.ec2tasks("run", "--no-rsync", "rm .rsyncignore")
    assert "a.secret" not in said.out
    assert not (warm.root / "b.secret").exists()
    assert (warm.root / "c.result").exists()


def test_without_rsyncignore_what_stays_behind_is_said(warm: ScratchProject) -> None:
    (warm.root / ".ec2tasks" / "said").unlink(missing_ok=True)
    assert "no .rsyncignore: left out are .git, .venv" in warm.ec2tasks("run", "true").err
    assert "no .rsyncignore" not in warm.ec2tasks("run", "true").err


def test_a_zero_byte_among_the_patterns_is_refused(sides: Sides) -> None:
    """Rsync reads `!` in such a line, and takes back every pattern."""
    put(sides.local / "hidden/file", "file own")
    (sides.local / ".rsyncignore").write_bytes(b"hidden\n!\0\n- /.ec2tasks\n")
    with pytest.raises(UsageError, match="zero byte"):
        sides.sync()
    assert not (sides.remote / "hidden").exists()


def test_a_lone_exclamation_mark_among_the_patterns_is_refused(sides: Sides) -> None:
    (sides.local / ".rsyncignore").write_text("*.tmp\n!\n")
    with pytest.raises(UsageError, match="line 2"):
        sides.sync()


def test_the_memory_of_a_project_inside_never_travels(sides: Sides) -> None:
    put(sides.local / f"sub/{OWN}/synced/x.db", "file own")
    put(sides.local / "sub/code.py", "file print(2)")
    sides.sync()
    assert sorted(one.name for one in (sides.remote / "sub").iterdir()) == ["code.py"]
    assert "file own" not in contents(sides.remote)
    assert sides.differences() == []
