"""The ledger as it is read: a clone may bring one along, so it is what somebody else wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import refuse_links
from ec2tasks.records.ledger import ledger_path
from ec2tasks.records.run import Run, fold, read_line

READ_LIMIT = 64 * 1024 * 1024  # bytes: the newest 64 MiB, some 50,000 runs
LINE_LIMIT = 256 * 1024  # bytes


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The runs of a project, the newest first, and how many lines of the ledger could not be read."""

    runs: list[Run]
    broken: int = 0


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
