"""Puts what was pulled in its place here, or beside what stands there and must stay.

What is replaced is copied to .ec2tasks/replaced/JOB.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.entries import Entry, EntryKind, Pair, parents, read_entry, same_for_rsync
from ec2tasks.sync.ignore import DRAFT, conflict_copy
from ec2tasks.sync.transfer import Transfer

HINT = "`ec2tasks sync --pull` goes on from here"


@dataclass(frozen=True, kw_only=True)
class PullItem:
    """An entry to pull: from `source` on the instance, where `remote` stands, to `path`, where `local` stood.

    `conflict`: it is to arrive under a name of its own beside what is here. `behind_link`: it is reached on
    the instance through a link that leads out of the project. `replaced_by`: the inode of what has just
    replaced it as a whole there, and may be replaced itself at any moment; 0 where it stands still.
    """

    source: str
    path: str
    remote: Entry
    local: Entry | None
    reason: str
    conflict: bool = False
    behind_link: bool = False
    replaced_by: int = 0


@dataclass(kw_only=True)
class Pull:
    """A pull as it goes: the baseline it records in, and by path what to say of each conflict copy.

    `vanished`: something went away on the instance while it was pulled.
    """

    transfer: Transfer
    baseline: Baseline
    conflict_copies: dict[str, str] = field(default_factory=dict)
    vanished: bool = False


def staging_folder(transfer: Transfer) -> Path:
    """Where what arrives waits until it is whole."""
    return transfer.root / OWN_FOLDER / "incoming"


def changes_mode_only(item: PullItem) -> bool:
    """Whether nothing but the mode of an entry was changed on the instance."""
    return (
        item.local is not None
        and not item.conflict
        and item.local.mode != item.remote.mode
        and item.local == item.remote._replace(mode=item.local.mode)
    )


def staged_entry(folder: Path, item: PullItem) -> Entry | None:
    """The entry that has arrived of an item in the staging folder."""
    try:
        if item.remote.kind is EntryKind.LINK:
            return Entry(EntryKind.LINK, target=os.readlink(folder / item.source))
        return read_entry(folder, item.source)
    except OSError:
        return None


def apply_item(pull: Pull, item: PullItem) -> None:
    """Put an item in its place here, or beside what must not be replaced, and record it.

    Raises Failure where it can't be written.
    """
    root = pull.transfer.root
    try:
        local = read_entry(root, item.path)
        conflict = item.conflict or (
            local != item.local and not (local and same_for_rsync(local, item.remote))
        )
        kept = _path_above(root, item) or (item.path if conflict else _obstacle(root, item, local))
        if changes_mode_only(item) and (conflict or kept is not None):
            # There is nothing to put anywhere: behind a link the mode stays, else it is for the next time.
            if not conflict:
                pull.baseline.record(item.path, Pair(local, item.remote))
            return
        target = root / item.path
        if kept is not None:
            copy = conflict_copy(kept, _copy_ending(pull.transfer, kept, item))
            target = root / (copy + item.path.removeprefix(kept))
        written = _write(pull.transfer, item, target)
    except OSError as error:
        raise Failure(
            f"pull is not complete: `{item.path}` can't be written here: {error.strerror}", hint=HINT
        ) from error
    if kept is not None:
        why = "was changed here and there" if conflict else "stays as it is here"
        pull.conflict_copies[kept] = f"`{kept}` {why}: the instance's version is `{copy}`"
    # A conflict is recorded with the instance's version: yours is a change of it for the next push.
    base = item.remote if conflict else local if kept is not None else written
    pull.baseline.record(item.path, Pair(base, item.remote))
    if pull.transfer.verbose:
        output.step(f"pull {target.relative_to(root)} ({item.reason})")


def _path_above(root: Path, item: PullItem) -> str | None:
    """The link or file above an item's path, through which nothing is put anywhere."""
    return next((path for path in parents(item.path) if _is_no_folder(root / path)), None)


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
        if entry is None or same_for_rsync(entry, item.remote):
            return ending
    return transfer.job_id


def _write(transfer: Transfer, item: PullItem, target: Path) -> Entry:
    """Write the item to `target`; return what it is then."""
    if item.remote.kind is EntryKind.FOLDER:
        return _make_folder(transfer, item.remote.mode, target)
    if changes_mode_only(item) and target == transfer.root / item.path:
        target.chmod(item.remote.mode)
        return item.remote
    staged = staged_entry(staging_folder(transfer), item)
    assert staged is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    _back_up(transfer, target)
    _rename(staging_folder(transfer) / item.source, target)
    return staged


def _make_folder(transfer: Transfer, mode: int, target: Path) -> Entry:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        _back_up(transfer, target)
        target.unlink()
    target.mkdir(parents=True, exist_ok=True)
    # A folder that nobody may write would keep out what belongs into it.
    target.chmod(mode | 0o700)
    return Entry(EntryKind.FOLDER, mode | 0o700)


def _back_up(transfer: Transfer, target: Path) -> None:
    """Copy what is about to be replaced, as this job first found it; remove an empty folder instead."""
    if not os.path.lexists(target) or f".ec2-{transfer.job_id}" in str(target):
        return
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
        return
    copy = _backup_path(transfer, str(target.relative_to(transfer.root)))
    if copy is None:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, copy, follow_symlinks=False)
    except OSError:
        shutil.copy2(target, copy, follow_symlinks=False)


def _backup_path(transfer: Transfer, path: str) -> Path | None:
    """Where to copy what stands at a path, beside what else stood there during this job.

    None if there is a copy already.
    """
    for round_ in itertools.count():
        folder = transfer.root / transfer.replaced_folder(round_)
        if _is_no_folder(folder / path):
            return None
        is_blocked = any(_is_no_folder(folder / above) for above in parents(path))
        if not os.path.lexists(folder / path) and not is_blocked:
            return folder / path
    raise AssertionError("there is always another round")


def _is_no_folder(path: Path) -> bool:
    """Whether something else than a folder stands at a path."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _rename(staged: Path, target: Path) -> None:
    """Give a file its name in one step, also from another file system."""
    try:
        staged.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(target.name + DRAFT)
        shutil.copy2(staged, draft, follow_symlinks=False)
        draft.replace(target)
        staged.unlink()


def adopt_remote_time(root: Path, path: str, local: Entry, remote: Entry) -> Entry:
    """Give a file here the time of the same content on the instance; return what it is then.

    Theirs is the one to have: what was made of it there is newer, and so it is for make here.
    """
    if local.kind is not EntryKind.FILE or local.mtime == remote.mtime:
        return local
    with contextlib.suppress(OSError):
        if read_entry(root, path) == local:
            os.utime(root / path, ns=(remote.mtime, remote.mtime))
            return read_entry(root, path) or local
    return local
