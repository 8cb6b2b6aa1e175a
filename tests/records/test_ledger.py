"""The ledger: several writers, one killed half way, a full disk, what a clone brings along."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.values import NOON

from ec2tasks.base.errors import Failure
from ec2tasks.records.ledger import append, ledger_path
from ec2tasks.records.reading import read

JOBS = [f"20261101-12000{i}-1f4abcd" for i in range(4)]


def values(job: str = JOBS[0], **more: object) -> dict[str, object]:
    return {"job": job, "state": "begun", "began": NOON, "command": "make train", **more}


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """While inside, no file grows beyond this size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_project_where_nothing_ran_has_an_empty_ledger(tmp_path: Path) -> None:
    assert read(tmp_path).runs == []
    assert not (tmp_path / ".ec2tasks").exists()


def test_it_is_its_owner_s_alone(tmp_path: Path) -> None:
    assert append(tmp_path, values())
    assert ledger_path(tmp_path).stat().st_mode & 0o077 == 0


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ec2tasks.records.ledger import append\n"
        "for i in range(50): append(Path(sys.argv[1]), {'job': f'20261101-120000-{i:03x}' + sys.argv[2],"
        " 'state': 'ended', 'command': 'x' * 5000})"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    writers = [subprocess.Popen([*argv, name]) for name in ("aaaa", "bbbb", "cccc")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = read(tmp_path)
    assert (len(found.runs), found.broken) == (150, 0)


def test_half_a_line_of_a_killed_writer_breaks_no_other(tmp_path: Path) -> None:
    append(tmp_path, values(JOBS[0]))
    with ledger_path(tmp_path).open("ab") as file:
        file.write(b'{"job": "20261101-120001-1f4abcd", "sta')
    append(tmp_path, values(JOBS[2]))
    found = read(tmp_path)
    assert ({run.job for run in found.runs}, found.broken) == ({JOBS[0], JOBS[2]}, 1)


def test_a_full_disk_is_said_and_leaves_nothing_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(tmp_path, values(JOBS[0]))
    with files_up_to(ledger_path(tmp_path).stat().st_size + 20):
        assert not append(tmp_path, values(JOBS[1]))
    said = capsys.readouterr().err
    assert "this run could not be written down in .ec2tasks/runs.jsonl: only 20 of" in said
    assert append(tmp_path, values(JOBS[2]))
    found = read(tmp_path)
    assert ({run.job for run in found.runs}, found.broken) == ({JOBS[0], JOBS[2]}, 0)


@pytest.mark.parametrize("place", [".ec2tasks", ".ec2tasks/runs.jsonl"])
def test_nothing_is_written_or_read_through_a_link(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, elsewhere = tmp_path / "shop", tmp_path / "elsewhere"
    (root / place).parent.mkdir(parents=True)
    elsewhere.mkdir()
    target = elsewhere if place == ".ec2tasks" else elsewhere / "file"
    (root / place).symlink_to(target)
    assert not append(root, values())
    assert "is a link" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(Failure):
        read(root)


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"[" * 100_000, b'"x"', b"9" * 5000, b'{"job": "x"}', b"{" + b" " * 300_000 + b"}"]
)
def test_what_is_no_line_of_ours_is_counted_and_skipped(line: bytes, tmp_path: Path) -> None:
    append(tmp_path, values())
    with ledger_path(tmp_path).open("ab") as file:
        file.write(line + b"\n")
    found = read(tmp_path)
    assert (len(found.runs), found.broken) == (1, 1)


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(tmp_path, values())
    ledger_path(tmp_path).unlink()
    os.mkfifo(ledger_path(tmp_path))
    assert not append(tmp_path, values())
    assert "could not be written down" in capsys.readouterr().err
