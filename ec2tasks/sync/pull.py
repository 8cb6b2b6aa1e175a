"""Pulls: what was fetched is put in place only once it is whole.

What is replaced here is copied to .ec2tasks/replaced/JOB; what was changed here meanwhile stays, and the
instance's version is put beside it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import field, replace

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.sync.apply import (
    HINT,
    Pull,
    PullItem,
    apply_item,
    apply_new,
    changes_mode_only,
    staged_entry,
)
from ec2tasks.sync.below import open_below
from ec2tasks.sync.entries import EntryKind, may_be_same
from ec2tasks.sync.environments import environment_filters
from ec2tasks.sync.gate import NO_STAMP, Seen
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.reconcile import Change, Resolution
from ec2tasks.sync.rsync import BROKEN_CODES, RsyncResult, is_vanished, left_out_text, rsync_failure
from ec2tasks.sync.scan import RemoteScan, look, scan_remote
from ec2tasks.sync.stage import MANY, stage
from ec2tasks.sync.touched import changed_since
from ec2tasks.sync.transfer import ROUNDS, Direction, Transfer

STILL = 2.0  # seconds for which a file must stand still to be fetched while a command runs
LOG_LIMIT = 64_000_000  # bytes up to which a file that grows is taken for a log


@dataclass(kw_only=True)
class LivePull:
    """Pulling while a command runs: the files that grew since the last time, and whether it is the last."""

    growing: set[str] = field(default_factory=set)
    last: bool = False


def pull_items(changes: Iterable[Change], remote_scan: RemoteScan) -> list[PullItem]:
    """The items to pull for these changes, as they were scanned on the instance."""
    return [
        PullItem(
            source=change.path,
            path=change.path,
            remote=change.remote,
            local=change.local,
            reason=change.reason,
            conflict=change.resolution is Resolution.CONFLICT,
            joins=change.resolution is Resolution.JOIN,
            altered=change.altered,
            stamp=remote_scan.stamps.get(change.path, NO_STAMP),
            behind_link=change.path in remote_scan.behind,
            clash=remote_scan.clashing.get(change.path, ""),
        )
        for change in changes
        if change.remote is not None
        and change.resolution in (Resolution.PULL, Resolution.JOIN, Resolution.CONFLICT)
    ]


def fetch(pull: Pull, items: list[PullItem], *, live: LivePull | None = None) -> None:
    """Fetch items, and put in place what arrived whole, even where the rest did not.

    `live`: a command is running; what changes is left for the next time instead of tried again. Raises
    Failure where the transfer broke, or something never stood still; what arrived whole is in place.
    """
    # What is one name here is so too where it waits to be put in place: one after the other.
    clashes = sorted({item.clash for item in items})
    # Nor is a folder fetched as it is then: the other names in it would come along.
    filters = None if live or clashes != [""] else _filters(pull)
    for clash in clashes:
        if not (clash and live):
            _fetch_together(pull, [item for item in items if item.clash == clash], live, filters)


def _fetch_together(
    pull: Pull, items: list[PullItem], live: LivePull | None, filters: list[str] | None
) -> None:
    """The same, of items whose names are no other's here; `filters` as of `stage`."""
    transfer = pull.transfer
    waiting = _ready(transfer, items, live) if live and items else items
    unwritten: list[Failure] = []
    for round_ in range(1 if live else ROUNDS):
        if not waiting:
            break
        result = stage(transfer, waiting, None if round_ else filters)
        entries = _scan_again(pull, waiting, result, still=live is None)
        # What the other side could not open is named; all else came to its end.
        finished = result.complete or result.explained_by(is_vanished, left_out_text)
        arrived = _arrived(transfer, waiting, entries, finished=finished)
        unwritten += _apply(pull, [item for item in waiting if item.source in arrived])
        if not result.complete and not result.explained_by(is_vanished):
            raise rsync_failure(Direction.PULL, result, hint=HINT)
        left = [item for item in waiting if item.source not in arrived]
        pull.vanished |= any(item.source not in entries for item in left)
        waiting = [_as_seen(item, seen) for item in left if (seen := entries.get(item.source))]
    if unwritten:
        raise _combined(unwritten)
    if waiting and not live:
        names = ", ".join(sorted(item.path for item in waiting)[:3])
        raise Failure(f"pull is not complete: {names} changes there all the time", hint=HINT)


def _filters(pull: Pull) -> list[str]:
    return [*filter_argv(pull.transfer.root), *environment_filters(pull.baseline.environments)]


def _as_seen(item: PullItem, seen: Seen) -> PullItem:
    """The item as it stands on the instance now: of the same size and time, it may be another."""
    altered = item.altered or (seen.entry == item.remote and seen.stamp != item.stamp)
    return replace(item, remote=seen.entry, stamp=seen.stamp, altered=altered)


def _apply(pull: Pull, items: list[PullItem]) -> list[Failure]:
    """Put items in place; return the failures: what can't be written here keeps nothing else out."""
    failures = []
    ordered = sorted((_as_arrived(pull.transfer, item) for item in items), key=lambda item: item.path)
    with open_below(pull.transfer.root) as below:
        for _, together in itertools.groupby(ordered, key=lambda item: item.path.rpartition("/")[0]):
            for item in apply_new(pull, below, list(together)):
                try:
                    apply_item(pull, below, item)
                    if item.joins:  # who is killed after this must not join it again
                        pull.baseline.save(whole=False)
                except Failure as error:
                    failures.append(error)
    return failures


def _combined(failures: list[Failure]) -> Failure:
    first, *more = failures
    return Failure(first.what + (f" (and {len(more)} more)" if more else ""), hint=first.hint)


def _ready(transfer: Transfer, items: list[PullItem], live: LivePull) -> list[PullItem]:
    """The items that are not half written, as they stand after a moment.

    A file that stands still for that moment, one that was replaced as a whole meanwhile, and one that has
    been growing since the last time, as a log does.
    """
    sources = [item.source for item in items]
    before = look(transfer.remote, sources, transfer.tools)
    time.sleep(0 if live.last else STILL)
    after = look(transfer.remote, sources, transfer.tools)
    ready, growing = [], set()
    for item in items:
        seen = Seen(item.remote, item.stamp) if item.behind_link else after.get(item.source)
        if seen is None:
            continue
        entry, inode = seen.entry, seen.stamp.inode
        earlier = before.get(item.source)
        replaced = not item.behind_link and inode != (earlier.stamp.inode if earlier else 0)
        is_log = item.source in live.growing and item.remote.size <= entry.size <= LOG_LIMIT
        if entry == item.remote or replaced or is_log or live.last:
            ready.append(replace(_as_seen(item, seen), replaced_by=inode if replaced else 0))
        if entry != item.remote and not replaced:
            growing.add(item.source)
    live.growing = growing
    return ready


def _scan_again(pull: Pull, items: list[PullItem], result: RsyncResult, *, still: bool) -> dict[str, Seen]:
    """The entries on the instance after they were fetched: what changed meanwhile may have arrived torn.

    `still`: no command runs. Of many, only those are looked at then that changed since the comparison began.
    """
    remote, tools = pull.transfer.remote, pull.transfer.tools
    known = {item.source: Seen(item.remote, item.stamp) for item in items}
    if result.code in BROKEN_CODES:
        # The way there broke: what has arrived with the size and time it had before is whole.
        return known
    changed = changed_since(remote, tools, pull.baseline.seen) if still and len(items) >= MANY else None
    # Those don't tell of what is reached through a link, nor of our own copies.
    asked = {
        item.source
        for item in items
        if changed is None or item.source in changed or item.behind_link or item.source != item.path
    }
    scan = scan_remote(remote, asked, tools)
    unchanged = {path: seen for path, seen in known.items() if path not in asked}
    return unchanged | {path: Seen(entry, scan.stamps[path]) for path, entry in scan.entries.items()}


def _as_arrived(transfer: Transfer, item: PullItem) -> PullItem:
    """The item, with the one of its versions that has arrived where it is replaced all the time."""
    staged = staged_entry(transfer, item) if item.replaced_by else None
    return replace(item, remote=staged) if staged else item


def _arrived(
    transfer: Transfer, items: list[PullItem], entries: dict[str, Seen], *, finished: bool
) -> set[str]:
    """The sources of the items that have arrived whole; `finished`: no transfer was cut."""
    torn = _still_written(transfer, items) if finished else set()
    return {
        item.source
        for item in items
        if item.source not in torn and _is_whole(transfer, item, entries.get(item.source), finished=finished)
    }


def _still_written(transfer: Transfer, items: list[PullItem]) -> set[str]:
    """The sources replaced by a new file that is still being written: no rename of something whole."""
    replaced = {item.source: item for item in items if item.replaced_by}
    if not replaced:
        return set()
    after = look(transfer.remote, replaced, transfer.tools)
    return {
        source
        for source, item in replaced.items()
        if (seen := after.get(source)) and seen.stamp.inode == item.replaced_by and seen.entry != item.remote
    }


def _is_whole(transfer: Transfer, item: PullItem, seen: Seen | None, *, finished: bool) -> bool:
    """Whether all of an item has arrived: rsync sets a file's time once its last byte is here."""
    if item.replaced_by:
        # Any version of it is as good as the one scanned, but its size and time do not tell if it was cut.
        return finished and staged_entry(transfer, item) is not None
    if seen is None or seen.entry != item.remote:
        return False
    if item.remote.kind is EntryKind.FILE and seen.stamp != item.stamp:
        return False
    if changes_mode_only(item) or item.remote.kind is EntryKind.FOLDER:
        return True
    staged = staged_entry(transfer, item)
    return staged is not None and may_be_same(staged, item.remote)
