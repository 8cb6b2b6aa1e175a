"""Fetches what is to be pulled into .ec2tasks/incoming/, where it waits until it is whole.

New folders with much in them are fetched as they are: named one by one, each file costs rsync as much again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.remote.folder import rsync_options
from ec2tasks.sync.apply import PullItem, changes_mode_only, staging_folder
from ec2tasks.sync.entries import EntryKind, encode_paths, parents
from ec2tasks.sync.progress import shows_bar
from ec2tasks.sync.rsync import COMPARING, RsyncResult, run_rsync
from ec2tasks.sync.transfer import Transfer

MANY = 100  # new files, from which on one rsync more is worth it


def pull_argv(
    transfer: Transfer,
    *,
    progress: bool,
    behind_links: bool = False,
    altered: bool = False,
    whole: Sequence[str] | None = None,
) -> list[str]:
    """The rsync that pulls files and folders into the staging folder. A big file goes on where it was cut.

    `altered`: what has the size and time of the file here is fetched all the same. `whole`: all that is in
    folders, but for what these options leave out. No link is ever fetched, nothing else than files and
    folders can come of it: links are made from what was scanned.
    """
    if whole is not None:
        which = ["--recursive", *whole]
    elif altered:
        which = ["--copy-unsafe-links", "--ignore-times"]
    else:
        which = ["--copy-unsafe-links", f"--copy-dest={transfer.root.absolute()}"]
    return [
        "rsync",
        *(option for option in COMPARING if not option.endswith("links")),
        *(["--copy-links"] if behind_links else []),
        *which,
        "--8-bit-output",
        "--inplace",
        "--partial",
        # What is put into a folder must be able to leave it again.
        "--chmod=Du+rwx,ug-s",
        "--no-implied-dirs",
        "--from0",
        "--files-from=-",
        *(["--info=progress2", "--no-inc-recursive", "--outbuf=L"] if progress else []),
        # Beside a running command, as little in its way as can be.
        *(["--rsync-path=nice -n 19 rsync"] if transfer.quiet else []),
        *rsync_options(transfer.remote),
        "--",
        transfer.remote.rsync_path,
        f"{staging_folder(transfer)}/",
    ]


def stage(transfer: Transfer, items: list[PullItem], filters: Sequence[str] | None = None) -> RsyncResult:
    """Fetch items into the staging folder; of no link anything, for all of it is known.

    `filters`: rsync's options for the ignored paths, by which new folders may be fetched as a whole.
    """
    _prepare_staging(staging_folder(transfer), items)
    # What has a mode alone to change needs no transfer.
    wanted = [
        item for item in items if not changes_mode_only(item) and item.remote.kind is not EntryKind.LINK
    ]
    total = sum(item.remote.size for item in wanted)
    progress = not transfer.quiet and not transfer.verbose and shows_bar(total)
    result = RsyncResult(code=0, errors="")
    with (
        output.progress_bar("pull", total, len(wanted))
        if progress
        else contextlib.nullcontext(_ignore) as moved
    ):
        for argv, sources in _transfers(transfer, wanted, filters, progress=progress):
            # What can't be read there in one of them keeps nothing of the others out.
            if sources and not result.broken:
                paths = encode_paths(f"./{source}" for source in sources)
                result = result.then(run_rsync(argv, transfer.tools, stdin=paths, on_moved=moved))
    return result


def _transfers(
    transfer: Transfer, items: list[PullItem], filters: Sequence[str] | None, *, progress: bool
) -> Iterator[tuple[list[str], list[str]]]:
    """The rsyncs that fetch items, each with the paths that it is given."""
    folders, inside = (set[str](), set[str]()) if filters is None else new_folders(items)
    yield pull_argv(transfer, whole=filters, progress=progress), sorted(folders)
    rest = [item for item in items if item.source not in inside]
    for behind_links, altered in itertools.product((False, True), repeat=2):
        argv = pull_argv(transfer, behind_links=behind_links, altered=altered, progress=progress)
        kind = (behind_links, altered)
        yield argv, [item.source for item in rest if (item.behind_link, item.altered) == kind]


def new_folders(items: Iterable[PullItem]) -> tuple[set[str], set[str]]:
    """The topmost folders that are new here as a whole, and all sources that come with them.

    None where these are few.
    """
    plain = [item for item in items if _is_new(item)]
    folders = {item.source for item in plain if item.remote.kind is EntryKind.FOLDER}
    topmost = {path for path in folders if folders.isdisjoint(parents(path))}
    inside = {item.source for item in plain if not topmost.isdisjoint((*parents(item.source), item.source))}
    return (topmost, inside) if len(inside) >= MANY else (set(), set())


def _is_new(item: PullItem) -> bool:
    """Whether nothing stands here at an item's path, and it is fetched like any other file."""
    return item.local is None and not (item.conflict or item.altered or item.behind_link)


def _ignore(_bytes: int, _files: int) -> None:
    pass


def _prepare_staging(folder: Path, items: Sequence[PullItem]) -> None:
    """Make the staging folder, without what an earlier pull left that is in the way of these items."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in items if any(folder.iterdir()) else ():
            stale = folder / item.source
            if stale.is_dir() and not stale.is_symlink() and item.remote.kind is not EntryKind.FOLDER:
                shutil.rmtree(stale)
            elif stale.is_symlink() or (stale.exists() and not _can_resume(stale, item)):
                stale.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from error


def _can_resume(staged: Path, item: PullItem) -> bool:
    """Whether rsync can go on with what has arrived of an item."""
    # Half of a version that is replaced by now would pass for a whole one, once nothing is there any more.
    return not item.replaced_by and not item.altered and os.access(staged, os.W_OK)


def _unwritable(folder: Path, error: OSError) -> Failure:
    return Failure(f"`{folder}` can't be written: {error.strerror}", hint="free some space")


def clear_staging(transfer: Transfer, wanted: Iterable[PullItem] = ()) -> None:
    """Delete what earlier pulls left in the staging folder, but for these items: a big file goes on.

    Raises Failure where it can't be deleted.
    """
    folder, keep = staging_folder(transfer), {item.source for item in wanted}
    try:
        for above, folders, names in os.walk(folder, topdown=False):
            links = (name for name in folders if os.path.islink(os.path.join(above, name)))
            for path in (os.path.join(above, name) for name in (*names, *links)):
                if os.path.relpath(path, folder) not in keep:
                    os.unlink(path)
            with contextlib.suppress(OSError):  # something wanted is in it
                os.rmdir(above)
    except OSError as error:
        raise _unwritable(folder, error) from error
