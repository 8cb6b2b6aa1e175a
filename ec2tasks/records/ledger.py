"""The ledger: `.ec2tasks/runs.jsonl`, a line of JSON for each thing that is known of a run.

Written to by all runs of the project, several at once; a run never fails for it, and what a killed client or
a full disk has left of a line spoils no other. Apart from its reading: every run imports this.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import stat
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER, make_own_folder
from ec2tasks.base.state import flock_within

LEDGER = "runs.jsonl"
FIRST, LAST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2006, 2200))  # EC2 is of 2006
TEXT_LIMIT = 10_000  # characters of a command
PATIENCE = 2.0  # seconds of waiting for another writer; without the lock, its line may be broken by ours
APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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


def line_values(values: Mapping[str, object]) -> dict[str, object]:
    """The same as JSON can hold it, in the form that `read_line` takes; without what is None.

    Nor does it hold the time of an instance whose clock is far off.
    """
    return {
        name: as_json(value)
        for name, value in values.items()
        if value is not None and not (isinstance(value, datetime) and not FIRST <= value <= LAST)
    }


def as_json(value: object) -> object:
    """A value of a run as JSON can hold it: times in ISO 8601, UTC; texts cut at TEXT_LIMIT."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        return f"{value[:TEXT_LIMIT]}…"
    if isinstance(value, Mapping):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) and math.isfinite(value) else value
