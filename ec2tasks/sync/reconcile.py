"""Decides what becomes of a path, by what each side did to it since both were last in sync. Pure.

docs/sync.md holds the same as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ec2tasks.sync.entries import Entry, EntryKind, Pair, is_copy


class ChangeKind(Enum):
    """What one side did to a path since the baseline; the values are the words shown."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    DELETED = "deleted"
    CHANGED = "changed"
    RETYPED = "retyped"


class Resolution(Enum):
    """What is to be done about a path; the values are the words shown."""

    NOTHING = "nothing"
    PUSH = "push"
    PULL = "pull"
    JOIN = "join"
    DELETE = "delete there"
    CONFLICT = "keep both"
    KEEP = "keep here"
    AGREE = "agree"
    FORGET = "forget"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A path about which something is to be done, why, and what stood on both sides when that was decided.

    `altered`: the instance's file was changed although its size and time are as before.
    """

    path: str
    resolution: Resolution
    reason: str
    local: Entry | None
    remote: Entry | None
    base: Pair
    altered: bool = False


def reconcile(
    path: str,
    base: Pair,
    local: Entry | None,
    remote: Entry | None,
    *,
    altered: bool = False,
    same_content: Callable[[str], bool] = lambda _path: False,
) -> Change:
    """Decide what is to be done about one path, by a three-way comparison with its merge base.

    `altered`: the instance's file is another one than its size and time say. `same_content` is asked only
    about two files of one size that were both changed: whether they hold the same all the same.
    """
    local_change, remote_change = change_kind(base.local, local), change_kind(base.remote, remote)
    if altered and remote_change is ChangeKind.UNCHANGED:
        remote_change = ChangeKind.CHANGED
    resolution = _resolution(path, local_change, remote_change, local, remote, altered, same_content)
    return Change(
        path=path,
        resolution=resolution,
        reason=_reason(resolution, local_change, remote_change),
        local=local,
        remote=remote,
        base=base,
        altered=altered,
    )


def change_kind(before: Entry | None, after: Entry | None) -> ChangeKind:
    """The kind of change that turned one entry of a path into another."""
    if before == after:
        return ChangeKind.UNCHANGED
    if before is None:
        return ChangeKind.CREATED
    if after is None:
        return ChangeKind.DELETED
    return ChangeKind.CHANGED if before.kind == after.kind else ChangeKind.RETYPED


def _resolution(
    path: str,
    local_change: ChangeKind,
    remote_change: ChangeKind,
    local: Entry | None,
    remote: Entry | None,
    altered: bool,
    same_content: Callable[[str], bool],
) -> Resolution:
    if local_change is remote_change is ChangeKind.UNCHANGED:
        return Resolution.NOTHING
    if local is None and remote is None:
        return Resolution.FORGET
    if local == remote and not altered:
        return Resolution.AGREE
    if remote_change is ChangeKind.UNCHANGED:
        return Resolution.DELETE if local is None else Resolution.PUSH
    if local_change is ChangeKind.UNCHANGED:
        return Resolution.KEEP if remote is None else Resolution.PULL
    # Both did something, and not the same: a deletion gives way to whatever the other side made.
    if local is None:
        return Resolution.PULL
    if remote is None:
        return Resolution.PUSH
    if (is_copy(local, remote) and not altered) or (may_be_alike(local, remote) and same_content(path)):
        return Resolution.AGREE if local.mode == remote.mode else Resolution.PUSH
    return Resolution.CONFLICT


def may_be_alike(local: Entry, remote: Entry) -> bool:
    """Whether two entries are files that may hold the same: only a look into both can tell."""
    return local.kind is remote.kind is EntryKind.FILE and local.size == remote.size


def _reason(resolution: Resolution, local_change: ChangeKind, remote_change: ChangeKind) -> str:
    if resolution is Resolution.CONFLICT:
        return f"{local_change.value} here and {remote_change.value} there"
    if remote_change is ChangeKind.UNCHANGED:
        return f"{local_change.value} here"
    if local_change is ChangeKind.UNCHANGED:
        return f"{remote_change.value} there"
    return f"{local_change.value} here, {remote_change.value} there"
