"""Keeps how far each job's output has been shown on this machine, so that coming back goes on from there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ec2tasks.base.state import State
from ec2tasks.remote.protocol import JOB_ID

KEPT = 200  # jobs
START = (0, 0)


def shown(state: State, job_id: str) -> tuple[int, int]:
    """How much of a job's stdout and stderr has been shown here, in bytes; none where that is not known."""
    try:
        out, err = _path(state, job_id).read_text(encoding="ascii").split()
        return int(out), int(err)
    except (OSError, ValueError):
        return START


@contextlib.contextmanager
def kept(state: State, job_id: str) -> Iterator[Callable[[tuple[int, int]], None]]:
    """Yield what is to be called with the same after each part that is shown.

    It is kept at once, so that a client that is killed has kept it. What can't be kept is shown again.
    """
    file = _open(state, job_id)
    if file is None:
        yield lambda _offsets: None
        return

    def keep(offsets: tuple[int, int]) -> None:
        # In place and of one length: nothing but a number ever stands there.
        with contextlib.suppress(OSError):
            os.pwrite(file, b"%20d %20d\n" % offsets, 0)

    try:
        yield keep
    finally:
        os.close(file)


def _open(state: State, job_id: str) -> int | None:
    path = _path(state, job_id)
    if not JOB_ID.fullmatch(job_id):
        return None  # an instance says what its jobs are called, and reaches no other file by that
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _tidy(path.parent)
        return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    return None


def _tidy(folder: Path) -> None:
    """Remove what was kept of the oldest jobs, whose ids sort by time."""
    for path in sorted(folder.iterdir())[: 1 - KEPT]:
        path.unlink(missing_ok=True)


def _path(state: State, job_id: str) -> Path:
    return state.folder / "shown" / job_id
