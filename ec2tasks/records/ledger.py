"""The ledger: `.ec2tasks/runs.jsonl`, a line of JSON for each thing that is known of a run.

Written to by all runs of the project, several at once; a run never fails for it. What a killed client or a
full disk has left of a line keeps no other from being read. A clone may bring one along: it is read as what
somebody else wrote.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER, make_own_folder, refuse_links
from ec2tasks.base.state import flock_within
from ec2tasks.records.run import Run, fold, line_values, read_line

LEDGER = "runs.jsonl"
READ_LIMIT = 64 * 1024 * 1024  # bytes: the newest 64 MiB, some 50,000 runs
LINE_LIMIT = 256 * 1024  # bytes
PATIENCE = 2.0  # seconds of waiting for another writer; without the lock, its line may be broken by ours
APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The runs of a project, the newest first, and how many lines of the ledger could not be read."""

    runs: list[Run]
    broken: int = 0


def ledger_path(root: Path) -> Path:
    """Where the project's ledger is."""
    return root / OWN_FOLDER / LEDGER


def append(root: Path, values: Mapping[str, object], *, says: bool = True) -> bool:
    """Write down what is known of a run, by the names of Run; whether that went well. Else `says` so."""
    text = json.dumps(line_values(values), allow_nan=False).encode("ascii")
    try:
        make_own_folder(root)
        _append(ledger_path(root), text)
    except (OSError, Failure) as error:
        if not says:
            return False
        why = error.what if isinstance(error, Failure) else error.strerror
        output.warning(
            f"this run could not be written down in {OWN_FOLDER}/{LEDGER}: {why}",
            hint="`ec2tasks runs` will lack it; nothing else of the run suffers",
        )
        return False
    return True


def _append(path: Path, text: bytes) -> None:
    """Add a line, after whatever a killed writer has left of its own; without room for it, nothing."""
    file = os.open(path, APPENDING, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(None, f"`{path}` is no file")
        locked = flock_within(file, fcntl.LOCK_EX, PATIENCE)
        size = os.fstat(file).st_size
        whole = not size or os.pread(file, 1, size - 1) == b"\n"
        line = (b"" if whole else b"\n") + text + b"\n"
        try:
            if (written := os.write(file, line)) < len(line):
                raise OSError(None, f"only {written} of {len(line)} bytes fit on the disk")
        except OSError:
            if locked:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def read(root: Path) -> Ledger:
    """The project's ledger; none yet is an empty one. Raises Failure where it can't be read, or is a link."""
    refuse_links(root)
    lines, broken = [], 0
    for line in _lines(ledger_path(root)):
        try:
            lines.append(_read(line))
        except (ValueError, RecursionError, OverflowError):
            broken += 1
    return Ledger(runs=fold(lines), broken=broken)


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_LIMIT:
        raise ValueError("too long")
    return read_line(json.loads(line))


def _lines(path: Path) -> list[bytes]:
    """The lines of the ledger's last READ_LIMIT bytes."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - READ_LIMIT))
            lines = file.read(READ_LIMIT).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(
            f"`{path}` can't be read: {error.strerror}",
            hint="check its rights; nothing but the ledger is in it",
        ) from error
    return [line for line in (lines[1:] if size > READ_LIMIT else lines) if line.strip()]
