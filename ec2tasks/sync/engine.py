"""Syncs a project's files: both sides are compared with the baseline, files moved, the baseline renewed.

docs/sync.md says what becomes of a file in every case.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import sync_lock
from ec2tasks.base.waiting import waiting
from ec2tasks.remote.folder import RemoteFolder, ask_tree
from ec2tasks.sync.apply import HINT, Pull, PullItem, adopt_remote_time, prune_replaced
from ec2tasks.sync.baseline import Baseline, DamagedError, open_baseline
from ec2tasks.sync.compare import Comparison, compare
from ec2tasks.sync.entries import (
    NOTHING,
    EntryKind,
    Pair,
    kind_of,
    parents,
)
from ec2tasks.sync.ignore import conflict_copy, filter_argv, say_default_ignored
from ec2tasks.sync.pull import LivePull, fetch, pull_items
from ec2tasks.sync.push import (
    Copies,
    delete_remote,
    first_push,
    look_after_push,
    push_changes,
    say_biggest,
    say_left_out,
    say_nowhere,
    unexpected_copies,
)
from ec2tasks.sync.reconcile import Change, Resolution
from ec2tasks.sync.scan import RemoteScan
from ec2tasks.sync.shared import Shared
from ec2tasks.sync.stage import clear_staging
from ec2tasks.sync.transfer import ROUNDS, Direction, Transfer, names_text

Result = TypeVar("Result")
FREE = (None, EntryKind.FOLDER)  # what is in no folder's way


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """In which directions files move in one sync; `live`: while a command runs, in silence.

    `append`: patterns of the files whose tails are joined; `sweep`: the sweep that it is for.
    """

    push: bool = False
    pull: bool = False
    verbose: bool = False
    live: LivePull | None = None
    append: tuple[str, ...] = ()
    sweep: str = ""

    @property
    def direction(self) -> Direction:
        """The direction that is named where the sync fails."""
        return Direction.PUSH if self.push else Direction.PULL


def sync_files(root: Path, remote: RemoteFolder, job_id: str, tools: Tools, options: SyncOptions) -> None:
    """Push and pull a project's files. Raises Failure where not everything arrived; what arrived stays."""
    transfer = Transfer(
        root=root,
        remote=remote,
        job_id=job_id,
        tools=tools,
        verbose=options.verbose,
        quiet=options.live is not None,
    )
    shared = Shared(root=root, append=options.append, sweep=options.sweep)
    _with_baseline(transfer, partial(_sync, options, shared))


def differences(
    root: Path, remote: RemoteFolder, tools: Tools, *, append: tuple[str, ...] = ()
) -> list[Change]:
    """The changes that a sync would make, without making them."""
    transfer = Transfer(root=root, remote=remote, job_id="", tools=tools)
    options, shared = SyncOptions(push=True, pull=True), Shared(root=root, append=append)
    changes = _with_baseline(transfer, partial(_compare, options, shared)).changes
    return [change for change in changes if change.resolution not in (Resolution.AGREE, Resolution.FORGET)]


def _with_baseline(transfer: Transfer, act: Callable[[Transfer, Baseline], Result]) -> Result:
    """Call `act` under the project's lock; again on an empty baseline where it turns out to be damaged."""
    with sync_lock(transfer.root) as lock:
        # An rsync that outlives us keeps the next sync waiting: it may still be writing.
        transfer = replace(transfer, tools=replace(transfer.tools, held=(lock,)))
        if transfer.remote.empty:
            # Another client may have filled it while this one waited for its turn.
            is_empty = ask_tree(transfer.remote, transfer.tools, "is_empty") == b"yes"
            transfer = replace(transfer, remote=replace(transfer.remote, empty=is_empty))
        root, remote = transfer.root, transfer.remote
        opened = partial(open_baseline, root, remote.instance_id, remote.path, filter_argv(root))
        try:
            # A folder that was taken away there is no wish to have everything gone.
            with opened(forget=remote.empty) as baseline:
                return act(transfer, baseline)
        except DamagedError:
            with opened(forget=False) as baseline:
                return act(transfer, baseline)


def _sync(options: SyncOptions, shared: Shared, transfer: Transfer, baseline: Baseline) -> None:
    if options.push and transfer.remote.empty:
        say_default_ignored(transfer.root)
        if first_push(transfer, baseline):
            return
        baseline.save(whole=False)
    for _ in range(ROUNDS):
        comparison = _compare(options, shared, transfer, baseline)
        pull = Pull(transfer=transfer, baseline=baseline, placed=shared.placed)
        _prepare(pull, comparison, options)
        try:
            if options.push:
                _push(pull, comparison)
            if options.pull:
                _pull(pull, comparison, options)
            _record_unmoved(pull, comparison.changes, shared, keeps=options.live is None)
        finally:
            shared.keep_placed()
            _say_conflict_copies(pull)
        if options.live:
            return
        _say_kept(comparison.changes)
        vanished = comparison.vanished or pull.vanished
        if not (vanished and options.pull) and not pull.cleared:
            break
    if options.pull:
        _check_whole(comparison, vanished=vanished)


def _compare(options: SyncOptions, shared: Shared, transfer: Transfer, baseline: Baseline) -> Comparison:
    with contextlib.nullcontext() if options.live else waiting("the files there to be looked at"):
        found = compare(transfer, baseline, direction=options.direction, thorough=options.pull)
    found.changes = [shared.settle(change) for change in found.changes]
    return found


def _prepare(pull: Pull, comparison: Comparison, options: SyncOptions) -> None:
    """Announce what is to be sent, say what can't travel, and drop what was staged for other changes."""
    transfer, changes = pull.transfer, comparison.changes
    if changes:
        to_push = _changes_to_push(changes)
        pull.baseline.announce((change.path, change.local) for change in to_push if change.local)
    if options.push:
        say_default_ignored(transfer.root)
        say_left_out(transfer.root, [*comparison.left_out, *comparison.closed])
    say_nowhere(transfer.root, comparison.nowhere)
    clear_staging(transfer, pull_items(changes, comparison.remote))


def _check_whole(comparison: Comparison, *, vanished: bool) -> None:
    """Raise Failure where something could not be pulled, now that the rest has been."""
    if comparison.closed:
        names = names_text(sorted(set(comparison.closed)))
        raise Failure(
            f"pull is not complete: {names}",
            hint="make it readable there (`ec2tasks shell`), or out of the way here",
        )
    if vanished:
        raise Failure("pull is not complete: files are renamed there all the time", hint=HINT)


def _push(pull: Pull, comparison: Comparison) -> None:
    """Push the changes; `pull` takes in what must come here for that: the conflicts' remote versions."""
    conflicts = [change for change in comparison.changes if change.resolution is Resolution.CONFLICT]
    # Theirs comes first: what yours replaces there is here by then.
    fetch(pull, pull_items(conflicts, comparison.remote))
    to_push = _record_linked(pull.baseline, _changes_to_push(comparison.changes), comparison.remote)
    say_biggest({change.path: change.local for change in to_push if change.local})
    copies: Copies = {}
    pushed: list[str] = []
    try:
        blocked = _clear_remote(pull, comparison, to_push, copies)
        unblocked = [change for change in to_push if change.path not in blocked]
        if unblocked:
            push_changes(pull.transfer, unblocked, pull.baseline, copies)
            # What could not be sent into a folder of yours, while something else stood in its place, now can.
            pull.cleared = any(
                kind_of(change.local) is EntryKind.FOLDER and kind_of(change.remote) not in FREE
                for change in unblocked
            )
            pushed = [change.path for change in unblocked]
    finally:
        _pull_unexpected(pull, copies, pushed)


def _changes_to_push(changes: Iterable[Change]) -> list[Change]:
    """The changes to upload, sorted by path."""
    wanted = (
        change
        for change in changes
        if change.resolution in (Resolution.PUSH, Resolution.CONFLICT)
        and kind_of(change.local) not in (None, EntryKind.SPECIAL)
    )
    return sorted(wanted, key=lambda change: change.path)


def _record_linked(baseline: Baseline, to_push: list[Change], remote_scan: RemoteScan) -> list[Change]:
    """Record the folders in whose place a link on the instance leads to one: it stays. Return the others."""
    linked = [
        change
        for change in to_push
        if change.path in remote_scan.links
        and kind_of(change.local) is kind_of(change.remote) is EntryKind.FOLDER
    ]
    for change in linked:
        baseline.record(change.path, Pair(change.local, change.remote))
    return [change for change in to_push if change not in linked]


def _clear_remote(pull: Pull, comparison: Comparison, to_push: list[Change], copies: Copies) -> set[str]:
    """Delete on the instance what was deleted here and what is in the way; the paths that stay blocked."""
    transfer, baseline, remote_scan = pull.transfer, pull.baseline, comparison.remote
    deleted = [change for change in comparison.changes if change.resolution is Resolution.DELETE]
    obstacles = {
        change.path
        for change in to_push
        if kind_of(change.remote) is EntryKind.FOLDER is not kind_of(change.local)
    }
    copies |= {
        f"{transfer.replaced_folder()}/{change.path}": (change.path, change.remote)
        for change in deleted
        if kind_of(change.remote) is not EntryKind.FOLDER
    }
    stayed = delete_remote(transfer, deleted, obstacles, remote_scan)
    # A folder with files of its own there stays, and what is behind a link there unless the link goes.
    stayed_behind = _behind_kept_links(deleted, remote_scan)
    for change in deleted:
        stays = change.path in stayed or change.path in stayed_behind
        baseline.record(change.path, Pair(None, change.remote) if stays else NOTHING)
    blocked = (stayed & obstacles) | _without_folder(to_push, remote_scan)
    for change in to_push:
        if change.path in blocked:
            baseline.record(change.path, Pair(change.local, change.remote, blocked=True))
            output.warning(f"`{change.path}` stays here alone: something else is in its place there")
    return blocked


def _behind_kept_links(deleted: list[Change], remote_scan: RemoteScan) -> set[str]:
    """The deleted paths behind links on the instance that are not deleted themselves."""
    deleted_links = remote_scan.links.intersection(change.path for change in deleted)
    return {
        change.path
        for change in deleted
        if change.path in remote_scan.behind
        and change.path not in remote_scan.links
        and not deleted_links.intersection(parents(change.path))
    }


def _without_folder(to_push: list[Change], remote_scan: RemoteScan) -> set[str]:
    """The paths whose folder is none on the instance, or behind a link, and is not made by this push."""
    pushed = {change.path for change in to_push}
    in_the_way = remote_scan.links | {
        path
        for path, entry in remote_scan.entries.items()
        if entry.kind is not EntryKind.FOLDER and path not in pushed
    }
    return {path for path in pushed if in_the_way.intersection(parents(path))}


def _pull_unexpected(pull: Pull, copies: Copies, pushed: list[str]) -> None:
    """Pull what was replaced or deleted on the instance although it had changed since it was compared.

    What was pushed is known as ours from now on, by the time of its last change there.
    """
    there = look_after_push(pull.transfer, [*copies, *pushed])
    pull.baseline.ours = {path: there[path].stamp.changed for path in pushed if path in there}
    items = [
        PullItem(
            source=copy,
            path=path,
            remote=seen.entry,
            local=None,
            reason="changed there while yours was sent",
            conflict=True,
            stamp=seen.stamp,
        )
        for copy, (path, seen) in unexpected_copies(copies, there).items()
    ]
    # Yours is there by now: what both sides were recorded with stays.
    recorded = {item.path: pull.baseline[item.path] for item in items}
    fetch(pull, items)
    for path, pair in recorded.items():
        pull.baseline.record(path, pair)


def _pull(pull: Pull, comparison: Comparison, options: SyncOptions) -> None:
    """Pull what was not pulled yet for the push, and delete what is staged or kept for too long."""
    transfer = pull.transfer
    items = pull_items(comparison.changes, comparison.remote)
    if options.live:
        # While a command runs, one version beside yours is enough.
        copies = {item.path: transfer.root / conflict_copy(item.path, transfer.job_id) for item in items}
        items = [item for item in items if not item.conflict or not copies[item.path].exists()]
        # Tails are joined once, at the end: what is added until then would have no known beginning.
        items = [item for item in items if not item.joins]
    elif options.push:
        items = [item for item in items if not item.conflict]
    fetch(pull, items, live=options.live)
    prune_replaced(transfer.root, transfer.job_id)
    if not options.live:
        clear_staging(transfer)


def _record_unmoved(pull: Pull, changes: Iterable[Change], shared: Shared, *, keeps: bool) -> None:
    """Record the changes that move nothing; what is kept here alone only where that is said (`keeps`)."""
    baseline = pull.baseline
    for change in changes:
        local, remote = change.local, change.remote
        if change.resolution is Resolution.AGREE and local and remote:
            # What two runs of a sweep made alike is as old as the first: what was made of that is newer.
            if not (shared.is_fetched(change) and local.mtime < remote.mtime):
                local = adopt_remote_time(pull.transfer.root, change.path, local, remote)
            baseline.record(change.path, Pair(local, remote))
        elif change.resolution is Resolution.FORGET:
            baseline.record(change.path, NOTHING)
        elif keeps and change.resolution is Resolution.KEEP:
            baseline.record(change.path, Pair(local, None))


def _say_conflict_copies(pull: Pull) -> None:
    for _, text in sorted(pull.conflict_copies.items()):
        output.warning(text)


def _say_kept(changes: Iterable[Change]) -> None:
    paths = [change.path for change in changes if change.resolution is Resolution.KEEP]
    if paths:
        output.step(f"deleted there, kept here: {names_text(paths)}")
