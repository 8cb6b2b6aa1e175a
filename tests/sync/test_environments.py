"""Environments stay where they were made, whatever their name, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.two_sides import Sides, put, snapshot

from ec2tasks.sync.environments import environments_in
from ec2tasks.sync.pull import LivePull
from ec2tasks.sync.withheld import path_pattern

MARKERS = {"venv": "pyvenv.cfg", "conda": "conda-meta/history"}


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with an ignore file that names no environment."""
    found = Sides(tmp_path)
    (found.local / ".rsyncignore").write_text("*.ignored\n")
    put(found.local / "code.py", "file print(1)")
    return found


def make(root: Path, folder: str, marker: str, text: str) -> None:
    put(root / folder / marker, f"file {text}")
    put(root / folder / "bin/python", f"file {text}")


@pytest.mark.parametrize("marker", MARKERS.values())
@pytest.mark.parametrize("folder", ["venv", "my [env]*", "sub/.e"])
def test_an_environment_stays_on_its_side(
    sides: Sides, folder: str, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(sides.local, folder, marker, "here")
    sides.sync()
    assert not (sides.remote / folder).exists()
    assert f"`{folder}` stays here (" in (said := capsys.readouterr().err)
    assert f"+ {path_pattern(folder)}/" in said
    make(sides.remote, folder, marker, "there")
    put(sides.remote / folder / "lib/new", "file there alone")
    put(sides.remote / "result", "file dear")
    for _ in range(2):
        sides.sync()
        assert (sides.local / folder / "bin/python").read_text() == "here"
        assert (sides.remote / folder / "bin/python").read_text() == "there"
        assert not (sides.local / folder / "lib").exists()
    assert (sides.local / "result").read_text() == "dear"
    assert "stays" not in capsys.readouterr().err
    assert sides.differences() == []


def test_one_made_there_while_a_command_runs_is_no_result(
    sides: Sides, capsys: pytest.CaptureFixture[str]
) -> None:
    sides.sync()
    make(sides.remote, "made", "pyvenv.cfg", "there")
    sides.sync(push=False, live=LivePull(last=True))
    assert "`made` stays there (" in capsys.readouterr().err
    sides.sync()
    assert not (sides.local / "made").exists()
    assert (sides.remote / "made/bin/python").read_text() == "there"


def test_what_is_one_no_more_moves_again(sides: Sides) -> None:
    make(sides.remote, "made", "pyvenv.cfg", "there")
    make(sides.local, "mine", "conda-meta/history", "here")
    sides.sync()
    (sides.remote / "made/pyvenv.cfg").unlink()
    (sides.local / "mine/conda-meta/history").unlink()
    (sides.local / "mine/conda-meta").rmdir()
    sides.sync()
    assert (sides.local / "made/bin/python").read_text() == "there"
    assert (sides.remote / "mine/bin/python").read_text() == "here"
    assert snapshot(sides.local) == snapshot(sides.remote)


def test_the_ignore_file_can_want_one(sides: Sides, capsys: pytest.CaptureFixture[str]) -> None:
    (sides.local / ".rsyncignore").write_text("+ /venv/\n+ /node_modules\n")
    make(sides.local, "venv", "pyvenv.cfg", "here")
    put(sides.local / "node_modules/m", "file here")
    put(sides.local / "web/node_modules/m", "file here")
    sides.sync()
    put(sides.remote / "venv/new", "file there")
    sides.sync()
    assert (sides.remote / "venv/bin/python").read_text() == "here"
    assert (sides.local / "venv/new").read_text() == "there"
    assert (sides.remote / "node_modules/m").exists()
    assert not (sides.remote / "web/node_modules").exists()
    assert "`venv`" not in (said := capsys.readouterr().err)
    assert "`web/node_modules` stays here (" in said


@given(st.lists(st.sampled_from(["a", "b", "conda-meta", "pyvenv.cfg", "x"]), min_size=1, max_size=4))
def test_an_environment_is_a_folder_above_its_marker(parts: list[str]) -> None:
    for folder in environments_in(["/".join(parts)]):
        assert folder
        assert "/".join(parts).startswith((f"{folder}/pyvenv.cfg", f"{folder}/conda-meta"))


def test_the_project_itself_is_none() -> None:
    assert environments_in(["pyvenv.cfg", "conda-meta/history", "conda-meta"]) == set()
    assert environments_in(["e/conda-meta", "f/conda-meta/x/y", "g/pyvenv.cfg"]) == {"e", "f", "g"}
