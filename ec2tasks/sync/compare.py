"""Compares both sides of a project with the baseline: what is to be done about each path; moves nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import in_background
from ec2tasks.base.project_dir import file_system_time
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.entries import (
    NOTHING,
    Entry,
    EntryKind,
    Pair,
    is_own_folder,
    kind_of,
    nowhere_above,
    parents,
    read_entry,
    same_on_both,
)
from ec2tasks.sync.overview import Overview, overview
from ec2tasks.sync.reconcile import Change, Resolution, may_be_alike, reconcile
from ec2tasks.sync.scan import RemoteScan, same_contents, scan_remote
from ec2tasks.sync.spelling import clashing_here
from ec2tasks.sync.touched import is_since
from ec2tasks.sync.transfer import Direction, Transfer
from ec2tasks.sync.travelling import travelling

PathState = tuple[str, Pair, Entry | None, Entry | None]  # a path, its merge base, what stands here and there


@dataclass(kw_only=True)
class Comparison:
    """What is to be done about every path that is not in sync.

    `left_out` can't travel, `closed` can't be fetched though something stands there, both in words; `nowhere`
    are the links here that lead nowhere: they stay, and so does what is there under their names. `vanished`:
    something was renamed or deleted while it was compared.
    """

    changes: list[Change] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    nowhere: set[str] = field(default_factory=set)
    remote: RemoteScan
    vanished: bool = False


def compare(transfer: Transfer, baseline: Baseline, *, direction: Direction, thorough: bool) -> Comparison:
    """Compare both sides with the baseline. Raises Failure where the instance can't be asked.

    `thorough`: look also for what both sides changed alike since, which nothing but a third way between them
    can have done; it is recorded. Left out, a later change of it may be taken for a conflict.
    """
    root, start = transfer.root, file_system_time(transfer.root)
    seen = in_background(lambda: overview(transfer, baseline, direction))
    # Meanwhile: what is not here any more as it was in sync. What of it is the same there is recorded anew.
    own_folders: dict[str, bool] = {}
    changed = (
        {path for path, pair in baseline if not _is_unchanged(root, path, pair, own_folders)}
        if thorough
        else set()
    )
    both = seen()
    baseline.read({*both.listing.differing, *both.listing.only_remote, *both.touched.changed})
    altered = _altered(transfer, baseline, both)
    paths = {*both.listing.differing, *both.listing.only_remote, *altered}
    _record_same(root, baseline, set(both.listing.same if both.full else changed) - paths, start)
    if both.full:
        # What is not listed at all is gone from both sides, or ignored now.
        _forget_gone(root, baseline, {path for path, _ in baseline} - set(both.listing.same) - paths)
    comparison = _scanned(transfer, both, paths)
    altered |= _altered_behind(baseline, comparison.remote)
    _remember(baseline, both, altered)
    states = _path_states(root, baseline, sorted(paths | comparison.remote.behind), comparison)
    changes = _reconciled(states, altered, lambda doubtful: same_contents(transfer, doubtful))
    comparison.changes = _that_travel(transfer, both, changes)
    return comparison


def _scanned(transfer: Transfer, both: Overview, paths: set[str]) -> Comparison:
    """A comparison with what stands at these paths on the instance, and what is said of others."""
    remote_scan = scan_remote(transfer.remote, paths, transfer.tools)
    remote_scan.clashing = clashing_here(transfer.root, remote_scan.entries)
    closed = [
        f"{folder} (not readable there)" for folder in both.messages.closed_remote(transfer.remote.path)
    ]
    return Comparison(
        left_out=both.messages.left_out(),
        closed=[*closed, *remote_scan.closed],
        nowhere=set(both.messages.nowhere(f"{transfer.root}")),
        remote=remote_scan,
    )


def _altered(transfer: Transfer, baseline: Baseline, both: Overview) -> set[str]:
    """The files on the instance that hold something else than when they were recorded, as far as is known.

    What was touched there and is listed as the same is looked into; of what is listed as differing that can't
    be told any more, for it is another one here.
    """
    ours = baseline.ours
    changed = both.touched.changed
    touched = {path for path, time in changed.items() if ours.get(path) != time} | baseline.doubtful
    listed = {*both.listing.differing, *both.listing.only_remote}
    same = set(both.listing.same)
    alike = [
        path
        for path in touched - listed
        if (path in same if both.full else kind_of(baseline[path].remote) is EntryKind.FILE)
    ]
    differing = set(alike) - same_contents(transfer, alike) if alike else set[str]()
    return differing | {path for path in touched & listed if kind_of(baseline[path].remote) is EntryKind.FILE}


def _altered_behind(baseline: Baseline, remote: RemoteScan) -> set[str]:
    """The files behind links there that may be others than before, though of the size and time recorded.

    They were touched since, or stand in a folder that another one has taken the place of. Rsync compares no
    content through a link there, so each is fetched.
    """
    before, now = baseline.behind, _folders_behind(remote)
    others = {path for path, inode in now.items() if before.get(path, inode) != inode}
    baseline.behind = now
    return {
        path
        for path in remote.behind
        if kind_of(remote.entries[path]) is EntryKind.FILE and baseline[path].remote == remote.entries[path]
        if is_since(remote.stamps[path].changed, baseline.seen) or others.intersection(parents(path))
    }


def _folders_behind(remote: RemoteScan) -> dict[str, bytes]:
    folders = (path for path in remote.behind if kind_of(remote.entries[path]) is EntryKind.FOLDER)
    return {path: b"%d" % remote.stamps[path].inode for path in folders}


def _remember(baseline: Baseline, both: Overview, altered: set[str]) -> None:
    """Let the baseline know up to when the instance's changes are known, and which are not recorded yet."""
    baseline.doubtful = set(altered)
    baseline.seen = both.touched.now
    baseline.environments = set(both.environments)


def _that_travel(transfer: Transfer, both: Overview, changes: list[Change]) -> list[Change]:
    """The changes of paths that are not ignored, whoever has named them, and behind links too.

    What the rsync here has found among the project's files has passed the patterns already.
    """
    kinds = {
        change.path: {
            (change.path, entry.kind) for entry in (change.local, change.remote) if entry is not None
        }
        for change in changes
    }
    named = {item for of_both_sides in kinds.values() for item in of_both_sides}
    found_here = both.listing.found_here
    known = {(path, kind) for path, kind in named if (path, kind is EntryKind.FOLDER) in found_here}
    doubtful = named - known
    allowed = known | (
        travelling(transfer.root, both.filters, doubtful, transfer.tools) if doubtful else set()
    )
    return [change for change in changes if kinds[change.path] <= allowed]


def _path_states(
    root: Path, baseline: Baseline, paths: Iterable[str], comparison: Comparison
) -> Iterator[PathState]:
    """The merge base and both entries of each path where they can be told and can travel.

    The comparison takes in the rest.
    """
    own_folders: dict[str, bool] = {}
    for path in paths:
        # What stands here under another spelling is another file.
        is_other = path in comparison.remote.clashing
        local, unknown = (None, "") if is_other else read_local(root, path, own_folders)
        remote = comparison.remote.entries.get(path)
        if folder := comparison.remote.closed_above(path):
            comparison.closed.append(f"{folder} (not readable there)")
        elif unknown and (link := nowhere_above(root, path)):
            comparison.nowhere.add(link)
        elif unknown:
            (comparison.closed if remote else comparison.left_out).append(f"{path} ({unknown})")
        elif kind_of(remote or local) is EntryKind.SPECIAL:
            comparison.left_out.append(f"{path} (no regular file)")
        elif local is None and remote is None and baseline[path] == NOTHING:
            comparison.vanished = True
        else:
            yield path, _merge_base(baseline, comparison.remote, path, local, remote), local, remote


def _merge_base(
    baseline: Baseline, remote_scan: RemoteScan, path: str, local: Entry | None, remote: Entry | None
) -> Pair:
    """The merge base of a path; a local entry that could not be sent has no remote base."""
    pair = baseline.pair_for(path, remote)
    if not pair.blocked:
        return pair
    is_unchanged = (local, remote) == (pair.local, pair.remote)
    still_blocked = remote is not None or remote_scan.blocks(path)
    return Pair(local, remote) if is_unchanged and still_blocked else Pair(None, pair.remote)


def read_local(root: Path, path: str, own_folders: dict[str, bool]) -> tuple[Entry | None, str]:
    """Read what stands at a path here, and why that can't be told; `own_folders` remembers folders."""
    try:
        return read_entry(root, path, own_folders), ""
    except OSError as error:
        return None, error.strerror or "not readable"


def _is_unchanged(root: Path, path: str, pair: Pair, own_folders: dict[str, bool]) -> bool:
    """Whether a path stands here as the baseline has it."""
    before = pair.local
    if before is not None and before.kind is EntryKind.FILE:
        # Without an Entry: this is what a sync with nothing to move spends its time on.
        try:
            status = os.stat(f"{root}/{path}")
            is_own = is_own_folder(root, path.rpartition("/")[0], own_folders)
        except OSError:
            return False
        return is_own and (status.st_mtime_ns, status.st_size, status.st_mode & 0o777) == (
            before.mtime,
            before.size,
            before.mode,
        )
    local, unknown = read_local(root, path, own_folders)
    return not unknown and local == before


def _record_same(root: Path, baseline: Baseline, paths: Iterable[str], start: int) -> None:
    """Record what was the same on both sides, or gone from both, when the comparison started."""
    own_folders: dict[str, bool] = {}
    for path in paths:
        local, unknown = read_local(root, path, own_folders)
        # What can't be looked at here may be there; what was touched since may not be what was compared.
        if not unknown and not _touched_since(root, path, start):
            baseline.record(path, same_on_both(local) if local else NOTHING)


def _forget_gone(root: Path, baseline: Baseline, paths: Iterable[str]) -> None:
    """Forget paths that neither side has any more: they are gone, or ignored now."""
    own_folders: dict[str, bool] = {}
    for path in paths:
        if not read_local(root, path, own_folders)[1]:
            baseline.record(path, NOTHING)


def _touched_since(root: Path, path: str, start: int) -> bool:
    try:
        return os.stat(f"{root}/{path}").st_ctime_ns >= start
    except OSError:
        return False


def _reconciled(
    states: Iterable[PathState], altered: set[str], find_same: Callable[[list[str]], set[str]]
) -> list[Change]:
    """The changes that ask for something; files that only their content can tell apart are looked into."""
    first = [
        reconcile(path, base, local, remote, altered=path in altered and remote is not None)
        for path, base, local, remote in states
    ]
    doubtful = [change.path for change in first if _may_agree(change)]
    same = find_same(doubtful) if doubtful else set()
    changes = (
        reconcile(
            change.path,
            change.base,
            change.local,
            change.remote,
            altered=change.altered,
            same_content=same.__contains__,
        )
        if change.path in same
        else change
        for change in first
    )
    return [
        change
        for change in changes
        if change.resolution is not Resolution.NOTHING and not _is_special_push(change)
    ]


def _may_agree(change: Change) -> bool:
    """Whether both sides may hold the same although both were changed."""
    both = change.local and change.remote and may_be_alike(change.local, change.remote)
    return change.resolution is Resolution.CONFLICT and bool(both)


def _is_special_push(change: Change) -> bool:
    """Whether it would send what can't travel, a socket say, in whose place something else stands there."""
    return change.resolution is Resolution.PUSH and kind_of(change.local) is EntryKind.SPECIAL
