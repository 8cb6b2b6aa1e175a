"""What stands at a path of the project, here and there, and whether it is still the same.

A file is known by its size, mode and time to the nanosecond. Whether a side has changed is told by comparing
it with what it was itself, so the two machines' clocks need not agree. Only `alike` compares one side's times
with the other's: a copy that rsync made has the time of its original.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

SECOND = 1_000_000_000  # nanoseconds
GRAINS = (100, 1_000, 1_000_000, SECOND)  # the times that file systems keep, in nanoseconds
LEADING_UPS = re.compile(r"^(?:\.\./+)+")
LAST_TIME = 2**63 - 1  # nanoseconds; SQLite keeps no later one


class Entry(NamedTuple):
    """What stands at a path: kind `f`, `d`, `l`, or `o` for what never travels (a socket, a device).

    Kind `x` is a folder there that can't be looked into.
    A folder has no size and no time, a link no mode either; `mtime` is in nanoseconds.
    """

    kind: str
    mode: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""


def same_time(one: int, other: int) -> bool:
    """Whether two times are the same, as far as the coarser of two file systems can tell."""
    return one == other or any(
        (one % grain == 0 or other % grain == 0) and one // grain == other // grain for grain in GRAINS
    )


def alike(one: Entry, other: Entry) -> bool:
    """Whether the two sides show the same, as rsync sees it: kind, size, time and, of a link, its target."""
    return (
        one.kind == other.kind
        and one.size == other.size
        and one.target == other.target
        and same_time(one.mtime, other.mtime)
    )


def of_file(found: os.stat_result) -> Entry:
    """The entry of a file, or of what a link leads to."""
    mode = stat.S_IMODE(found.st_mode) & 0o777
    if stat.S_ISREG(found.st_mode):
        return Entry("f", mode, found.st_size, min(found.st_mtime_ns, LAST_TIME))
    return Entry("d", mode) if stat.S_ISDIR(found.st_mode) else Entry("o")


def look(root: Path, path: str, known: dict[str, bool] | None = None) -> Entry | None:
    """What stands here as it travels: a link that leads out of the project as what it leads to.

    None where nothing does, also below a link that stays in the project; raises OSError where that can't be
    told: what is behind a link that leads nowhere now, say onto a disk that is not there, is not gone.
    `known` remembers folders from one look to the next.
    """
    if not is_own(root, path.rpartition("/")[0], {} if known is None else known):
        return None
    full = os.path.join(root, path)
    try:
        found = os.lstat(full)
        if not stat.S_ISLNK(found.st_mode):
            return of_file(found)
        target = os.readlink(full)
    except (FileNotFoundError, NotADirectoryError):
        if any(_is_away(os.path.join(root, above), above) for above in parents(path)):
            raise OSError(errno.ENOENT, "behind a link that leads nowhere") from None
        return None
    return of_file(os.stat(full)) if is_outward(path, target) else Entry("l", target=target)


def is_own(root: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether what is in that folder here is the project's under this name.

    Below a link that stays in the project, it travels under the name that it has where the link leads.
    """
    if folder and folder not in known:
        known[folder] = not any(_stays_inside(root, above) for above in (*parents(folder), folder))
    return not folder or known[folder]


def _stays_inside(root: Path, path: str) -> bool:
    """Whether a path here is a link that stays in the project."""
    full = os.path.join(root, path)
    return os.path.islink(full) and not is_outward(path, os.readlink(full))


def _is_away(full: str, path: str) -> bool:
    """Whether a path is a link out of the project to something that is not there."""
    return os.path.islink(full) and is_outward(path, os.readlink(full)) and not os.path.exists(full)


def is_outward(link: str, target: str) -> bool:
    """Whether a link at that path of the project, to that target, is one that rsync takes for unsafe.

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


def encode(paths: Iterable[str]) -> bytes:
    """Paths as rsync and xargs take them on stdin: each ended by a zero byte."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def parse_inodes(said: bytes) -> dict[str, int]:
    """The inodes of what `tree.sh look` says: a file that was replaced as a whole has another than before."""
    fields = said.split(b"\0")
    return {
        os.fsdecode(name[2:]): int(words.split()[4])
        for name, words in zip(fields[0::3], fields[1::3], strict=False)
    }


KINDS = {b"f": "f", b"d": "d", b"l": "l", b"x": "x"}


def parse_found(said: bytes) -> dict[str, Entry]:
    """What `tree.sh look` says: for each path that is there, `./PATH`, its properties, its link's target."""
    fields = said.split(b"\0")
    found = {}
    for name, words, target in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        kind, mode, size, mtime, _ = words.split()
        found[os.fsdecode(name[2:])] = _entry(kind, int(mode, 8), int(size), mtime, os.fsdecode(target))
    return found


def _entry(kind: bytes, mode: int, size: int, mtime: bytes, target: str) -> Entry:
    known = KINDS.get(kind, "o")
    if known == "f":
        seconds, _, fraction = mtime.decode().partition(".")
        time = int(seconds) * SECOND + int(fraction[:9].ljust(9, "0"))
        return Entry("f", mode & 0o777, size, min(time, LAST_TIME))
    if known == "l":
        return Entry("l", target=target)
    return Entry("d", mode & 0o777) if known == "d" else Entry(known)


class Pair(NamedTuple):
    """What stood at a path on both sides when they were last settled; None for nothing.

    `apart`: yours could not be sent, for something else is in its place there; neither is agreed on.
    """

    here: Entry | None
    there: Entry | None
    apart: bool = False


NOTHING = Pair(None, None)


def settled(entry: Entry) -> Pair:
    """The same on both sides."""
    return Pair(entry, entry)


def total_size(entries: Mapping[str, Entry]) -> int:
    """The bytes of all files among them."""
    return sum(entry.size for entry in entries.values())
