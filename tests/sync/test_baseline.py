"""The baseline: one for each folder on an instance, and a damaged one costs no conflicts."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.two_sides import OWN, Sides, put

from ec2tasks.remote.folder import RemoteFolder


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a folder and a file on both sides."""
    found = Sides(tmp_path)
    (found.local / ".rsyncignore").write_text("*.ignored\n")
    put(found.local / "store/m", "file stored")
    put(found.local / "code.py", "file print(1)")
    found.sync()
    return found


def beside(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("*.ec2-*") if path.is_file()}


def test_another_folder_there_is_another_memory(sides: Sides) -> None:
    put(sides.local / "code.py", "file hello")
    sides.sync()
    first = sides.remote
    plain = sides.way

    def elsewhere() -> RemoteFolder:
        return replace(plain(), folder="other")

    put(sides.home / "other/cfg", "file of somebody else")
    put(sides.local / "cfg", "file mine")
    sides.remote, sides.way = sides.home / "other", elsewhere  # type: ignore[method-assign]
    sides.sync()
    put(sides.local / "code.py", "file hours of work")
    sides.sync()
    assert (sides.remote / "cfg").read_text() == "mine"
    assert beside(sides.local) == {"of somebody else"}
    sides.remote, sides.way = first, plain  # type: ignore[method-assign]
    sides.sync()
    assert (sides.local / "code.py").read_text() == (first / "code.py").read_text() == "hours of work"


VALUES = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("UPDATE settled SET there = '[[[' WHERE path = CAST('store/m' AS BLOB)")
"""


@pytest.mark.parametrize("damage", ["pages", "values"])
def test_a_manifest_found_damaged_late_costs_no_conflicts(
    sides: Sides, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(300):
        put(sides.local / f"many/{number:0100}", f"file {number}")
    sides.sync()
    (kept,) = (sides.local / OWN / "synced").glob("*.db")
    if damage == "pages":
        with kept.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xff" * (kept.stat().st_size - 8192))
    else:
        subprocess.run(["python3", "-c", VALUES, kept], check=True)
    put(sides.local / "many/more", "file newer")
    put(sides.remote / "new", "file result")
    sides.sync()
    assert "can't be read" in capsys.readouterr().err
    assert (sides.local / "new").read_text() == "result"
    assert not list(sides.local.rglob("*.ec2-*"))
    assert sides.differences() == []


def test_a_manifest_that_can_t_be_read_costs_no_conflicts(sides: Sides) -> None:
    (kept,) = (sides.local / OWN / "synced").glob("*.db")
    kept.write_text("no database " * 100)
    put(sides.local / "code.py", "file newer")
    put(sides.remote / "new", "file result")
    sides.sync()
    assert (sides.local / "new").exists()
    assert (sides.local / "code.py").read_text() == "newer"
    kept.unlink()
    sides.sync()
    assert not [one for one in sides.local.rglob("*.ec2-*") if not one.name.startswith("code.py")]
