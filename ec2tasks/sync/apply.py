"""Puts what was pulled in its place here, or beside what stands there and must stay.

What is replaced is copied to .ec2tasks/replaced/JOB.
"""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.below import Below, open_below
from ec2tasks.sync.entries import (
    Entry,
    EntryKind,
    Pair,
    entry_from_stat,
    is_copy,
    kind_of,
    parents,
    read_entry,
)
from ec2tasks.sync.gate import NO_STAMP, Stamp
from ec2tasks.sync.ignore import conflict_copy
from ec2tasks.sync.reconcile import may_be_alike
from ec2tasks.sync.shared import joined
from ec2tasks.sync.transfer import Transfer

STAGING = f"{OWN_FOLDER}/incoming"
KEPT_REPLACED = 10  # jobs whose replaced files are kept
JOIN_LIMIT = 64 * 1024 * 1024  # bytes of a file whose tails are joined
HINT = "`ec2tasks sync --pull` goes on from here"


@dataclass(frozen=True, kw_only=True)
class PullItem:
    """An entry to pull: from `source` on the instance, where `remote` stands, to `path`, where `local` stood.

    `conflict`: it is to arrive under a name of its own beside what is here. `joins`: what was added to it
    there is to be added to what is here, if nothing but that was done. `altered`: it is another one than
    its size and time say. `behind_link`: it is reached on the instance through a link that leads out of the
    project. `stamp` tells it from others of its size and time. `replaced_by`: the inode of what has just
    replaced it as a whole there, and may be replaced itself at any moment; 0 where it stands still. `clash`:
    the part of its path that is another's name on the disk here; "" for none.
    """

    source: str
    path: str
    remote: Entry
    local: Entry | None
    reason: str
    conflict: bool = False
    joins: bool = False
    altered: bool = False
    stamp: Stamp = NO_STAMP
    behind_link: bool = False
    replaced_by: int = 0
    clash: str = ""


@dataclass(kw_only=True)
class Pull:
    """A pull as it goes: the baseline it records in, and by path what to say of each conflict copy.

    `placed`: what it has put in its place here. `vanished`: something went away on the instance while it was
    pulled. `cleared`: something that was in the way of a folder there is so no more.
    """

    transfer: Transfer
    baseline: Baseline
    conflict_copies: dict[str, str] = field(default_factory=dict)
    placed: dict[str, Entry] = field(default_factory=dict)
    vanished: bool = False
    cleared: bool = False


def staging_folder(transfer: Transfer) -> Path:
    """Where what arrives waits until it is whole."""
    return transfer.root / STAGING


def changes_mode_only(item: PullItem) -> bool:
    """Whether nothing but the mode of an entry was changed on the instance."""
    return (
        item.local is not None
        and not item.conflict
        and not item.joins
        and not item.altered
        and item.local.mode != item.remote.mode
        and item.local == item.remote._replace(mode=item.local.mode)
    )


def staged_entry(transfer: Transfer, item: PullItem) -> Entry | None:
    """The entry that has arrived of an item in the staging folder; of a link all is known without."""
    if item.remote.kind is EntryKind.LINK:
        return item.remote
    try:
        return entry_from_stat(os.lstat(f"{transfer.root}/{STAGING}/{item.source}"))
    except OSError:
        return None


def apply_new(pull: Pull, below: Below, items: list[PullItem]) -> list[PullItem]:
    """Put the new files among the items of one folder in their places, and record them; the other items."""
    new = {
        item.path.rpartition("/")[2]: item
        for item in items
        if item.remote.kind is EntryKind.FILE
        and not (item.local or item.conflict or item.clash)
        and item.source == item.path
    }
    folder = items[0].path.rpartition("/")[0]
    moved = below.move_new(list(new), f"{STAGING}/{folder}".rstrip("/"), folder)
    for name, status in moved.items():
        item = new[name]
        written = pull.placed[item.path] = entry_from_stat(status)
        pull.baseline.record(item.path, Pair(written, item.remote))
        if pull.transfer.verbose:
            output.step(f"pull {item.path} ({item.reason})")
    return [item for item in items if item.path.rpartition("/")[2] not in moved]


def apply_item(pull: Pull, below: Below, item: PullItem) -> None:
    """Put an item in its place here, or beside what must not be replaced, and record it.

    Raises Failure where it can't be written.
    """
    root = pull.transfer.root
    try:
        local = None if item.clash else read_entry(root, item.path)
        above = item.clash or _path_above(below, item)
        joins = item.joins and not above and _join(pull, item, local)
        conflict = not joins and _is_conflict(pull.transfer, item, local)
        kept = above or (item.path if conflict else _obstacle(root, item, local))
        if changes_mode_only(item) and (conflict or kept is not None):
            # Nothing is to be put anywhere: behind a link the mode stays, else it is for the next time.
            if not conflict:
                pull.baseline.record(item.path, Pair(local, item.remote))
            return
        target = item.path
        if kept is not None:
            copy = conflict_copy(kept, _copy_ending(pull.transfer, kept, item))
            target = copy + item.path.removeprefix(kept)
        written = _write(pull.transfer, below, item, target)
    except OSError as error:
        raise Failure(
            f"pull is not complete: `{item.path}` can't be written here: {error.strerror}", hint=HINT
        ) from error
    if kept is None:
        pull.placed[item.path] = written
    else:
        pull.conflict_copies[kept] = _copy_text(item, kept, copy, conflict=conflict)
    # A conflict is recorded with the instance's version: yours is a change of it for the next push.
    base = item.remote if conflict or joins else local if kept is not None else written
    pull.baseline.record(item.path, Pair(base, item.remote))
    if pull.transfer.verbose:
        output.step(f"pull {target} ({item.reason})")


def _copy_text(item: PullItem, kept: str, copy: str, *, conflict: bool) -> str:
    why = "was changed here and there" if conflict else "stays as it is here"
    why = "is another's name on this disk" if item.clash else why
    return f"`{kept}` {why}: the instance's version is `{copy}`"


def _is_conflict(transfer: Transfer, item: PullItem, local: Entry | None) -> bool:
    """Whether what stands here must stay."""
    if item.conflict or item.joins:
        return True
    return local != item.local and not _has_arrived(transfer, item, local)


def _join(pull: Pull, item: PullItem, local: Entry | None) -> bool:
    """Add what was added to a file there to what is here, in the staging folder; whether that went well."""
    staged, arrived = staging_folder(pull.transfer) / item.source, staged_entry(pull.transfer, item)
    before = pull.baseline[item.path].remote
    files = (local, arrived, *([before] if before else []))
    here, small = pull.transfer.root / item.path, (entry and entry.size <= JOIN_LIMIT for entry in files)
    if not all(small) or here.is_symlink() or any(kind_of(entry) is not EntryKind.FILE for entry in files):
        return False
    content = joined(here.read_bytes(), staged.read_bytes(), before.size if before else 0)
    if content is None:
        return False
    staged.write_bytes(content)
    return True


def _has_arrived(transfer: Transfer, item: PullItem, local: Entry | None) -> bool:
    """Whether what stands here is already the instance's version, say of a pull that was cut."""
    if local is None or local.kind is not item.remote.kind:
        return False
    if is_copy(local, item.remote) and not item.altered:
        return True
    staged = staging_folder(transfer) / item.source
    here = transfer.root / item.path
    return may_be_alike(local, item.remote) and staged.is_file() and filecmp.cmp(here, staged, shallow=False)


def _path_above(below: Below, item: PullItem) -> str | None:
    """The link or file above an item's path, through which nothing is put anywhere."""
    if below.is_folder(item.path.rpartition("/")[0]):
        return None
    return next((path for path in parents(item.path) if _is_no_folder(below, path)), None)


def _obstacle(root: Path, item: PullItem, local: Entry | None) -> str | None:
    """The item's path where what stands there must stay: a link that leads out, a full folder."""
    if local is None:
        return None
    full = root / item.path
    leads_out = full.is_symlink() and local.kind is not EntryKind.LINK
    is_folder = local.kind is EntryKind.FOLDER is not item.remote.kind
    return item.path if leads_out or (is_folder and any(full.iterdir())) else None


def _copy_ending(transfer: Transfer, kept: str, item: PullItem) -> str:
    """What a conflict copy's name ends in: the job id, and a number where that is taken by something else."""
    if item.path != kept or item.remote.kind is EntryKind.FOLDER:
        return transfer.job_id
    for ending in (transfer.job_id, *(f"{transfer.job_id}.{number}" for number in range(2, 1000))):
        entry = read_entry(transfer.root, conflict_copy(kept, ending))
        if entry is None or (is_copy(entry, item.remote) and not item.altered):
            return ending
    return transfer.job_id


def _write(transfer: Transfer, below: Below, item: PullItem, target: str) -> Entry:
    """Write the item to `target`; return what it is then."""
    if item.remote.kind is EntryKind.FOLDER:
        return _make_folder(transfer, below, item.remote.mode, target)
    if changes_mode_only(item) and target == item.path:
        below.set_mode(target, item.remote.mode)
        return item.remote
    staged = staged_entry(transfer, item)
    assert staged is not None
    _back_up(transfer, below, target)
    if item.remote.kind is EntryKind.LINK:
        below.make_link(target, item.remote.target)
    else:
        below.move(f"{STAGING}/{item.source}", target)
    return staged


def _make_folder(transfer: Transfer, below: Below, mode: int, target: str) -> Entry:
    if _is_no_folder(below, target):
        _back_up(transfer, below, target)
        below.remove(target)
    # A folder that nobody may write would keep out what belongs into it.
    below.make_folder(target, mode | 0o700)
    return Entry(EntryKind.FOLDER, mode | 0o700)


def _back_up(transfer: Transfer, below: Below, target: str) -> None:
    """Copy what is about to be replaced, as this job first found it; remove an empty folder instead."""
    mode = below.mode_at(target)
    if mode is None or f".ec2-{transfer.job_id}" in target:
        return
    if stat.S_ISDIR(mode):
        below.remove_folder(target)
        return
    copy = _backup_path(transfer, below, target)
    if copy is not None:
        below.copy(target, copy)


def _backup_path(transfer: Transfer, below: Below, path: str) -> str | None:
    """Where to copy what stands at a path, beside what else stood there during this job.

    None if there is a copy already.
    """
    for round_ in itertools.count():
        folder = transfer.replaced_folder(round_)
        copy = f"{folder}/{path}"
        if _is_no_folder(below, copy):
            return None
        is_blocked = any(_is_no_folder(below, f"{folder}/{above}") for above in parents(path))
        if below.mode_at(copy) is None and not is_blocked:
            return copy
    raise AssertionError("there is always another round")


def _is_no_folder(below: Below, path: str) -> bool:
    """Whether something else than a folder stands at a path."""
    mode = below.mode_at(path)
    return mode is not None and not stat.S_ISDIR(mode)


def adopt_remote_time(root: Path, path: str, local: Entry, remote: Entry) -> Entry:
    """Give a file here the time of the same content on the instance; return what it is then.

    Theirs is the one to have: what was made of it there is newer, and so it is for make here.
    """
    if local.kind is not EntryKind.FILE or local.mtime == remote.mtime:
        return local
    with contextlib.suppress(OSError), open_below(root) as below:
        if read_entry(root, path) == local:
            below.set_time(path, remote.mtime)
            return read_entry(root, path) or local
    return local


def prune_replaced(root: Path, job_id: str) -> None:
    """Delete replaced files but for those of this job and of the jobs before it that replaced some last."""
    folder = root / OWN_FOLDER / "replaced"
    # By the time of the folder: the names tell what the clocks of several machines said.
    copies = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime_ns) if folder.is_dir() else []
    earlier = [path for path in copies if not path.name.startswith(job_id)]
    for old in earlier[: max(0, len(copies) - KEPT_REPLACED)]:
        shutil.rmtree(old, ignore_errors=True)
