"""What was pulled is put in place, whatever stands there."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.two_sides import Sides, between_looks, contents, pull_failure, put, snapshot

from ec2tasks.base.process import Tools
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync.engine import SyncOptions, sync_files
from ec2tasks.sync.pull import LivePull


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with one file on both sides."""
    found = Sides(tmp_path)
    put(found.local / "code.py", "file print(1)")
    found.sync()
    return found


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that can't be written into, not even by root."""
    change = (
        (["chattr", "+i"], ["chattr", "-i"]) if os.geteuid() == 0 else (["chmod", "a-w"], ["chmod", "u+w"])
    )
    if subprocess.run([*change[0], folder], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("root may write everywhere on this file system")
    try:
        yield
    finally:
        subprocess.run([*change[1], folder], check=True)


@pytest.mark.parametrize("beside", [True, False], ids=["beside a command", "at the end"])
def test_a_path_that_can_t_be_written_here_keeps_out_nothing_else(
    beside: bool, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, lambda: None)
    put(sides.local / "cache/x", "file base")
    sides.sync()
    put(sides.remote / "cache/x", "file theirs")
    put(sides.remote / "cache/y", "file new")
    put(sides.remote / "results/model", "file dear")
    with closed(sides.local / "cache"):
        said = pull_failure(sides, LivePull() if beside else None)
        assert (sides.local / "results/model").read_text() == "dear"
        assert "`cache/x` can't be written here" in said
        assert "(and 1 more)" in said
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)


def test_a_path_may_become_another_thing_again_and_again_in_one_run(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, lambda: None)
    put(sides.local / "it", "file base")
    sides.sync()
    job_id = new_job_id()
    for name, what in [
        ("it", "file first"),
        ("it", "folder second"),
        ("it/inner", "file third"),
        ("it/inner", "folder fourth"),
        ("it/inner/inner", "file fifth"),
    ]:
        put(sides.remote / name, what)
        sync_files(sides.local, sides.way(), job_id, Tools(), SyncOptions(pull=True, live=LivePull()))
        assert snapshot(sides.local) == snapshot(sides.remote)
    assert {"file base", "file second", "file fourth"} <= contents(sides.local)


def test_links_that_lead_out_are_never_replaced_here(sides: Sides, tmp_path: Path) -> None:
    outside = tmp_path / "dataset"
    put(outside / "rows", "file 1")
    (sides.local / "linked").symlink_to(outside)
    (sides.local / "one").symlink_to(outside / "rows")
    sides.sync()
    assert (sides.remote / "linked/rows").read_text() == "1"
    put(sides.remote / "linked/rows", "file theirs")
    put(sides.remote / "linked/cache", "file made there")
    put(sides.remote / "one", "file other")
    job_id = sides.sync()
    assert (sides.local / "linked").readlink() == outside
    assert (sides.local / "one").readlink() == outside / "rows"
    assert (outside / "rows").read_text() == "1"
    assert snapshot(sides.local / f"linked.ec2-{job_id}") == {
        "rows": "file theirs",
        "cache": "file made there",
    }
    assert (sides.local / f"one.ec2-{job_id}").read_text() == "other"
    assert sides.differences() == []


def test_a_link_made_there_that_leads_out_arrives_as_content(sides: Sides, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    put(scratch / "deep/model", "file weights")
    (sides.remote / "out").symlink_to(scratch)
    (sides.remote / "model").symlink_to(scratch / "deep/model")
    sides.sync()
    assert (sides.local / "out/deep/model").read_text() == "weights"
    assert (sides.local / "model").read_text() == "weights"
    put(scratch / "deep/model", "file better weights")
    sides.sync()
    assert (sides.local / "out/deep/model").read_text() == "better weights"
    assert (sides.local / "model").read_text() == "better weights"


def test_modes_travel_alone(sides: Sides) -> None:
    (sides.local / "code.py").chmod(0o755)
    sides.sync()
    assert os.access(sides.remote / "code.py", os.X_OK)
    (sides.remote / "code.py").chmod(0o600)
    sides.sync()
    assert (sides.local / "code.py").stat().st_mode & 0o777 == 0o600
