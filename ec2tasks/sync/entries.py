"""What stands at a path of the project, on this machine or the instance, and whether it is still the same.

A file is known by its size, mode and time to the nanosecond. Whether a side has changed is told by comparing
it with what it was itself, so the two machines' clocks need not agree. Only `same_for_rsync` compares one
side's times with the other's: a copy that rsync made has the time of its original.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping
from enum import Enum
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


def same_for_rsync(entry: Entry, other: Entry) -> bool:
    """Whether rsync takes two entries for the same: by kind, size, time and, of a link, its target."""
    return (
        entry.kind == other.kind
        and entry.size == other.size
        and entry.target == other.target
        and same_time(entry.mtime, other.mtime)
    )


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
    if not is_own_folder(root, path.rpartition("/")[0], {} if own_folders is None else own_folders):
        return None
    full = os.path.join(root, path)
    try:
        status = os.lstat(full)
        if not stat.S_ISLNK(status.st_mode):
            return entry_from_stat(status)
        target = os.readlink(full)
    except (FileNotFoundError, NotADirectoryError):
        if any(_is_dangling_outward(os.path.join(root, above), above) for above in parents(path)):
            raise OSError(errno.ENOENT, "behind a link that leads nowhere") from None
        return None
    return (
        entry_from_stat(os.stat(full)) if is_outward(path, target) else Entry(EntryKind.LINK, target=target)
    )


def is_own_folder(root: Path, folder: str, own_folders: dict[str, bool]) -> bool:
    """Whether what is in a folder here is the project's under this name.

    Below a link that stays in the project, it travels under the name that it has where the link leads.
    """
    if folder and folder not in own_folders:
        own_folders[folder] = not any(_is_inner_link(root, above) for above in (*parents(folder), folder))
    return not folder or own_folders[folder]


def _is_inner_link(root: Path, path: str) -> bool:
    """Whether a path here is a link that stays in the project."""
    full = os.path.join(root, path)
    return os.path.islink(full) and not is_outward(path, os.readlink(full))


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


def parents(path: str) -> list[str]:
    """The folders above a path, from the top."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def encode_paths(paths: Iterable[str]) -> bytes:
    """Paths as rsync and xargs take them on stdin: each ended by a zero byte."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def parse_inodes(answer: bytes) -> dict[str, int]:
    """The inodes in an answer of `tree.sh look`: a file that was replaced as a whole has another one."""
    fields = answer.split(b"\0")
    return {
        os.fsdecode(name[2:]): int(properties.split()[4])
        for name, properties in zip(fields[0::3], fields[1::3], strict=False)
    }


def parse_entries(answer: bytes) -> dict[str, Entry]:
    """The entries in an answer of `tree.sh look`, by path: `./PATH`, its properties, its link's target."""
    fields = answer.split(b"\0")
    entries = {}
    for name, properties, target in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        letter, mode, size, mtime, _ = properties.split()
        kind = KINDS.get(letter.decode(), EntryKind.SPECIAL)
        entries[os.fsdecode(name[2:])] = _entry(kind, int(mode, 8), int(size), mtime, os.fsdecode(target))
    return entries


def _entry(kind: EntryKind, mode: int, size: int, mtime: bytes, target: str) -> Entry:
    if kind is EntryKind.FILE:
        seconds, _, fraction = mtime.decode().partition(".")
        time = int(seconds) * SECOND + int(fraction[:9].ljust(9, "0"))
        return Entry(kind, mode & 0o777, size, min(time, LAST_TIME))
    if kind is EntryKind.LINK:
        return Entry(kind, target=target)
    return Entry(kind, mode & 0o777) if kind is EntryKind.FOLDER else Entry(kind)


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
