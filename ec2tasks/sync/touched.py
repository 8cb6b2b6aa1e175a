"""Asks the instance which files were changed since an earlier time, whatever their own times say.

A file's size and time can be set by hand, and are by who unpacks or copies one; the time at which its inode
was last changed can't (https://man7.org/linux/man-pages/man7/inode.7.html). The clock is the instance's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree
from ec2tasks.sync.entries import encode_paths
from ec2tasks.sync.gate import read_names, read_touched, refused

CLOCK = re.compile(r"(\d{9,11})(?:\.(\d{1,10}))?")
GRAIN = 20_000_000  # nanoseconds: a kernel's clock for files goes by steps of up to ten milliseconds


@dataclass(frozen=True, kw_only=True)
class Touched:
    """What was changed there since, with the time of that; `now`: the instance's time, for the next question.

    `environments`: those of the ones asked about that are still some there.
    """

    changed: dict[str, bytes]
    now: str
    environments: set[str]


def touched_since(
    remote: RemoteFolder, tools: Tools, since: str, environments: Iterable[str] = ()
) -> Touched:
    """The files changed there since that time of the instance's, as an earlier answer has it; "" for none.

    Left out are those that say so themselves: whose own time is that of their last change. Raises Failure.
    """
    asked = set(environments)
    stdin = encode_paths(f"./{path}" for path in sorted(asked))
    answer = ask_tree(remote, tools, "touched", stdin=stdin, since=_just_before(since))
    now, _, rest = answer.partition(b"\0")
    if not CLOCK.fullmatch(now.decode(errors="replace")):
        raise refused("it begins with no time", now.decode(errors="replace"))
    still, _, paths = rest.partition(b"\0\0") if not rest.startswith(b"\0") else (b"", b"", rest[1:])
    return Touched(changed=read_touched(paths), now=now.decode(), environments=read_names(still, asked))


def changed_since(remote: RemoteFolder, tools: Tools, since: str) -> set[str] | None:
    """All files changed there since that time of the instance's; None where it can't tell. Raises Failure."""
    if not since:
        return None
    now, _, paths = ask_tree(remote, tools, "changed", since=_just_before(since)).partition(b"\0")
    return set(read_touched(paths)) if CLOCK.fullmatch(now.decode(errors="replace")) else None


def is_since(changed: bytes, since: str) -> bool:
    """Whether a change at that time of the instance's is one since the other, which an earlier answer has.

    Both are of the kernel's one clock for files.
    """
    time, before = _nanoseconds(changed.decode()), _nanoseconds(since)
    return time is not None and before is not None and time >= before


def _just_before(time: str) -> str:
    """A time that is a grain earlier; "" for none."""
    nanoseconds = _nanoseconds(time)
    if nanoseconds is None:
        return ""
    return f"{(nanoseconds - GRAIN) // 10**9}.{(nanoseconds - GRAIN) % 10**9:09}"


def _nanoseconds(time: str) -> int | None:
    """A time of the instance's in nanoseconds; None for none."""
    match = CLOCK.fullmatch(time)
    return int(match[1]) * 10**9 + int((match[2] or "")[:9].ljust(9, "0")) if match else None
