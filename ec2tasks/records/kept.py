"""Beside the ledger, in `.ec2tasks/runs/`: the end of a run's output, and what was not committed.

What the instance noted of a job's use of its machine lies with its output, in `.ec2tasks/logs/`.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER, make_own_folder
from ec2tasks.remote.protocol import JOB_ID

FOLDER, LOGS = "runs", "logs"
KEPT = 400  # files
TAIL_LIMIT = 64 * 1024  # bytes of an output's end
READ_LIMIT = 512 * 1024  # bytes
SAMPLES_LIMIT = 4 * 1024 * 1024  # bytes
OUTPUT, CHANGES = "out", "diff"  # what files are called behind the job's id


@dataclass(kw_only=True, eq=False, repr=False)
class Tail:
    """The end of what a command prints: as little work for each block as there can be."""

    blocks: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def add(self, block: bytes) -> None:
        """Take another block; what is not the end any more is dropped."""
        self.blocks.append(block[-TAIL_LIMIT:])
        self.size += len(self.blocks[-1])
        while self.size - len(self.blocks[0]) >= TAIL_LIMIT:
            self.size -= len(self.blocks.popleft())

    def text(self, before: bytes = b"") -> bytes:
        """The last TAIL_LIMIT bytes, with what was known `before`."""
        return b"".join((before, *self.blocks))[-TAIL_LIMIT:]


def keep(root: Path, job_id: str, kind: str, content: bytes) -> None:
    """Keep this of a job, in place of what was kept; where that fails there is none."""
    if not content or not JOB_ID.fullmatch(job_id):
        return
    with contextlib.suppress(OSError, Failure):
        folder = make_own_folder(root) / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        tidy(folder)
        draft = folder / f".{job_id}.{kind}.{os.getpid()}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            draft.replace(_path(root, job_id, kind))
        finally:
            draft.unlink(missing_ok=True)


def kept(root: Path, job_id: str, kind: str) -> bytes:
    """What was kept of this job; nothing where that is not known."""
    return _content(_path(root, job_id, kind), READ_LIMIT)


def samples(root: Path, job_id: str) -> bytes:
    """The samples of a job's use of its machine; nothing where none came home."""
    return _content(root / OWN_FOLDER / LOGS / f"{job_id}.samples", SAMPLES_LIMIT)


def _content(path: Path, limit: int) -> bytes:
    """The beginning of a file of ours, which is no link; nothing where there is none."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def _path(root: Path, job_id: str, kind: str) -> Path:
    return root / OWN_FOLDER / FOLDER / f"{job_id}.{kind}"


def tidy(folder: Path, pattern: str = "*") -> None:
    """Remove the files of this pattern that were kept of the oldest jobs, whose ids sort by time."""
    for path in _oldest(folder.glob(pattern)):
        path.unlink(missing_ok=True)


def _oldest(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith("."))[: 1 - KEPT]
