"""Prints what a sync would do: `ec2tasks sync --diff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.sync.entries import Entry, EntryKind
from ec2tasks.sync.progress import size_text
from ec2tasks.sync.reconcile import Change, Resolution

if TYPE_CHECKING:
    from ec2tasks.base.answers import ChangeAnswer

COLOURS = {
    Resolution.PUSH: "green",
    Resolution.PULL: "cyan",
    Resolution.JOIN: "cyan",
    Resolution.DELETE: "red",
    Resolution.CONFLICT: "yellow",
    Resolution.KEEP: "dim",
}


def show(changes: Sequence[Change]) -> None:
    """Print each change on a line: what would move, why, and how big it is."""
    width = max((len(change.resolution.value) for change in changes), default=0)
    for change in changes:
        colour = COLOURS.get(change.resolution, "bold")
        word = change.resolution.value.ljust(width)
        entry = _moved_entry(change)
        size = f", {size_text(entry.size)}" if entry and entry.kind is EntryKind.FILE else ""
        output.data(f"  {change.path}  ({change.reason}{size})", label=word, colour=colour)
    if not changes:
        output.step("nothing to move: both sides agree")


def show_json(changes: Sequence[Change]) -> None:
    """Print the changes as JSON; sizes in bytes."""
    rows: list[ChangeAnswer] = [
        {
            "path": change.path,
            "outcome": change.resolution.value,
            "reason": change.reason,
            "bytes": entry.size if (entry := _moved_entry(change)) else 0,
        }
        for change in changes
    ]
    output.json(rows)


def _moved_entry(change: Change) -> Entry | None:
    is_pulled = change.resolution in (Resolution.PULL, Resolution.JOIN, Resolution.CONFLICT)
    return change.remote if is_pulled else change.local
