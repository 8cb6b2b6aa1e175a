"""What stands at a path of the project, on this machine or the instance, and whether it is still the same.

A file is known by its size, mode and time to the nanosecond. Whether a side has changed is told by comparing
it with what it was itself, so the two machines' clocks need not agree. Only `is_copy` and `may_be_same`
compare one side's times with the other's: a copy that rsync made has the time of its original.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

SECOND = 1_000_000_000  # nanoseconds
GRAINS = (100, 1_000, 1_000_000, SECOND)  # the times that file systems keep, in nanoseconds
LEADING_UPS = re.compile(r"^(?:\.\./+)+")
LAST_TIME = 2**63 - 1  # nanoseconds; SQLite keeps no later one


class EntryKind(str, Enum):
    """What an entry is; the values are the letters of `tree.sh`'s answers and of the baseline."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"
    SPECIAL = "o"  # a socket, a device: it never travels
    CLOSED = "x"  # a folder on the instance that can't be looked into


KINDS = {kind.value: kind for kind in EntryKind}  # for loops over many files: EntryKind(letter) is slow


class Entry(NamedTuple):
    """What stands at a path.

    A folder has no size and no time, a link no mode either; `size` is in bytes, `mtime` in nanoseconds.
    """

    kind: EntryKind
    mode: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""


def same_time(time: int, other: int) -> bool:
    """Whether two times are the same, as far as the coarser of two file systems can tell."""
    return time == other or any(
        (time % grain == 0 or other % grain == 0) and time // grain == other // grain for grain in GRAINS
    )


def may_be_same(entry: Entry, other: Entry) -> bool:
    """Whether one entry may be a copy of the other: by kind, size, a link's target, and a file's time.

    Times are compared as far as the coarser of two file systems can tell: of a file, only its content decides
    where they are not equal to the nanosecond.
    """
    return (
        entry.kind == other.kind
        and entry.size == other.size
        and entry.target == other.target
        and same_time(entry.mtime, other.mtime)
    )


def is_copy(entry: Entry, other: Entry) -> bool:
    """Whether one entry is a copy of the other, as rsync makes it: to the nanosecond the same time."""
    return entry.mtime == other.mtime and may_be_same(entry, other)


def kind_of(entry: Entry | None) -> EntryKind | None:
    """The kind of an entry; None for no entry."""
    return entry.kind if entry else None


def entry_from_stat(status: os.stat_result) -> Entry:
    """The entry of a file or folder, or of what a link leads to."""
    mode = stat.S_IMODE(status.st_mode) & 0o777
    if stat.S_ISREG(status.st_mode):
        return Entry(EntryKind.FILE, mode, status.st_size, min(status.st_mtime_ns, LAST_TIME))
    return Entry(EntryKind.FOLDER, mode) if stat.S_ISDIR(status.st_mode) else Entry(EntryKind.SPECIAL)


def read_entry(root: Path, path: str, own_folders: dict[str, bool] | None = None) -> Entry | None:
    """Read what stands at a path here, as it travels: a link that leads out of the project as its target.

    None where nothing does, also below a link that stays in the project; raises OSError where that can't be
    told: what is behind a link that leads nowhere now, say onto a disk that is not mounted, is not gone.
    `own_folders` remembers folders from one call to the next.
    """
    own_folders = {} if own_folders is None else own_folders
    if not is_own_folder(root, folder := path.rpartition("/")[0], own_folders):
        return None
    full = os.path.join(root, path)
    try:
        status = os.lstat(full)
        if not stat.S_ISLNK(status.st_mode):
            return entry_from_stat(status)
        target = os.readlink(full)
    except (FileNotFoundError, NotADirectoryError):
        # Where the folder above it is there, so is all that links on the way lead to.
        if not os.path.isdir(os.path.dirname(full)):
            if nowhere_above(root, path):
                raise OSError(errno.ENOENT, "behind a link that leads nowhere") from None
            own_folders[folder] = False
        return None
    return (
        entry_from_stat(os.stat(full)) if is_outward(path, target) else Entry(EntryKind.LINK, target=target)
    )


def is_own_folder(root: Path, folder: str, own_folders: dict[str, bool]) -> bool:
    """Whether what is in a folder here is the project's under this name.

    Below a link that stays in the project, it travels under the name that it has where the link leads; a
    folder that is not there holds nothing.
    """
    if folder and folder not in own_folders:
        own_folders[folder] = not any(_is_inner_link(root, above) for above in (*parents(folder), folder))
    return not folder or own_folders[folder]


def _is_inner_link(root: Path, path: str) -> bool:
    """Whether a path here is a link that stays in the project."""
    full = os.path.join(root, path)
    return os.path.islink(full) and not is_outward(path, os.readlink(full))


def nowhere_above(root: Path, path: str) -> str | None:
    """The link at a path here or above it that leads out of the project to nothing; None for none."""
    return next(
        (link for link in (*parents(path), path) if _is_dangling_outward(os.path.join(root, link), link)),
        None,
    )


def _is_dangling_outward(full: str, path: str) -> bool:
    """Whether a path is a link out of the project to something that is not there."""
    return os.path.islink(full) and is_outward(path, os.readlink(full)) and not os.path.exists(full)


def is_outward(link: str, target: str) -> bool:
    """Whether a link at a path of the project leads out of it: whether rsync takes it for unsafe.

    It is absolute, leads out by its `..`, or has one in its middle or at its end.
    """
    onward = LEADING_UPS.sub("", target)
    if target.startswith("/") or "/../" in onward or (len(target) > 3 and target.endswith("/..")):
        return True
    depth = link.count("/")
    for part in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def parents(path: str) -> tuple[str, ...]:
    """The folders above a path, from the top."""
    folder = path.rpartition("/")[0]
    return _down_to(folder) if folder else ()


@lru_cache(maxsize=1024)  # many files have one folder, and they come in its order
def _down_to(folder: str) -> tuple[str, ...]:
    """The folders above a folder, from the top, and it."""
    parts = folder.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def encode_paths(paths: Iterable[str]) -> bytes:
    """Paths as rsync and xargs take them on stdin: each ended by a zero byte."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


class Pair(NamedTuple):
    """What stood at a path on both sides when they were last in sync; None for nothing.

    `blocked`: the local entry could not be sent, for something else is in its place on the instance; neither
    is agreed on.
    """

    local: Entry | None
    remote: Entry | None
    blocked: bool = False


NOTHING = Pair(None, None)


def same_on_both(entry: Entry) -> Pair:
    """The pair of one entry that stands on both sides."""
    return Pair(entry, entry)


def total_size(entries: Mapping[str, Entry]) -> int:
    """The bytes of all files among entries."""
    return sum(entry.size for entry in entries.values())
