"""What a sync would do, in words: `ec2tasks sync --diff`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from ec2tasks.base import output
from ec2tasks.sync.entries import Entry
from ec2tasks.sync.progress import size_text
from ec2tasks.sync.reconcile import Change, Outcome

COLOURS = {
    Outcome.PUSH: "green",
    Outcome.PULL: "cyan",
    Outcome.DELETE: "red",
    Outcome.CONFLICT: "yellow",
    Outcome.KEEP: "dim",
}


def show(changes: Sequence[Change]) -> None:
    """Print what would move, why, and how big it is; one line a path."""
    width = max((len(one.outcome.value) for one in changes), default=0)
    for one in changes:
        word = output.paint(one.outcome.value.ljust(width), COLOURS.get(one.outcome, "bold"), sys.stdout)
        moved = _moved(one)
        size = f", {size_text(moved.size)}" if moved and moved.kind == "f" else ""
        output.data(f"{word}  {_printable(one.path)}  ({one.reason}{size})")
    if not changes:
        output.step("nothing to move: both sides agree")


def show_json(changes: Sequence[Change]) -> None:
    """Print the same as JSON."""
    rows = [
        {
            "path": _printable(one.path),
            "outcome": one.outcome.value,
            "reason": one.reason,
            "bytes": moved.size if (moved := _moved(one)) else 0,
        }
        for one in changes
    ]
    output.data(json.dumps(rows, indent=2))


def _moved(change: Change) -> Entry | None:
    return change.there if change.outcome in (Outcome.PULL, Outcome.CONFLICT) else change.here


def _printable(path: str) -> str:
    """A path on one line, in what a terminal can show."""
    return path.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")
