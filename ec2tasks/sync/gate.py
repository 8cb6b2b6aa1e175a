"""Reads what the instance answers about the project's files, and refuses what no honest answer holds. Pure.

A path from there may name something in the project that was asked for, and nothing else: whatever it says is
looked up, compared or written below the project's folder here. The names in rsync's output pass here as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.entries import LAST_TIME, SECOND, Entry, EntryKind, parents

LONGEST_PATH = 4096  # characters; Linux takes no longer one
LONGEST_NAME = 255
MOST_NAMES = 500  # of a path: Python goes down to as many folders as it has room for calls, some 900
MOST_BEHIND = 5_000_000  # entries behind links that lead out: an answer of some hundred megabytes
NO_NAMES = frozenset(("", ".", ".."))
SHOWN = 80  # characters of a refused answer
LETTERS = {
    b"f": EntryKind.FILE,
    b"d": EntryKind.FOLDER,
    b"l": EntryKind.LINK,
    b"x": EntryKind.CLOSED,
    **dict.fromkeys((b"p", b"s", b"b", b"c", b"D", b"?", b"N", b"L", b"U"), EntryKind.SPECIAL),
}
# Kind, mode, size, time, inode and time of its last change, as `tree.sh look` prints them.
PROPERTIES = re.compile(
    rb"([a-zA-Z?]) ([0-7]{1,4}) (\d{1,18}) (-?\d{1,12})(?:\.(\d{1,10}))?"
    rb" (\d{1,20}) (-?\d{1,12}(?:\.\d{1,10})?)"
)
FIELDS = re.compile(rb"([^\0]*)\0([^\0]*)\0([^\0]*)\0")
TIME = re.compile(rb"-?\d{1,12}(?:\.\d{1,10})?")


class Stamp(NamedTuple):
    """What tells a file from another of its size and time: its inode, and when that was last changed."""

    inode: int = 0
    changed: bytes = b""


NO_STAMP = Stamp()


class Seen(NamedTuple):
    """An entry on the instance and its stamp."""

    entry: Entry
    stamp: Stamp


class RefusedAnswerError(Failure):
    """The instance answered what no honest one would: nothing was done with it."""


def refused(what: str, answer: str) -> RefusedAnswerError:
    """The error for an answer, and what is wrong with it."""
    text = answer if len(answer) <= SHOWN else f"{answer[:SHOWN]}…"
    return RefusedAnswerError(
        f"the instance's answer is refused: {what}: `{text}`",
        hint="something on it answers in the place of `find` or rsync: look at its PATH and ~/.bashrc"
        " (`ec2tasks shell --no-rsync`), or give it up (`ec2tasks down --no-rsync`)",
    )


def checked_path(path: str) -> str:
    """The path, where it names something of the project. Raises RefusedAnswerError for any other."""
    if (flaw := path_flaw(path)) is not None:
        raise refused(flaw, path)
    return path


def path_flaw(path: str) -> str | None:
    """Why a path names nothing of the project; None where it does."""
    parts = path.split("/")
    if not NO_NAMES.isdisjoint(parts) or "\0" in path:
        return "a path that leads out of the project"
    if len(path) > LONGEST_PATH or max(map(len, parts)) > LONGEST_NAME:
        return "a path that is too long"
    if len(parts) > MOST_NAMES:
        return "a path through too many folders"
    return "a path of ec2tasks' own" if parts[0] == OWN_FOLDER else None


def read_look(answer: bytes, asked: set[str]) -> dict[str, Seen]:
    """The entries in an answer of `tree.sh look` about these paths. Raises RefusedAnswerError."""
    return dict(_read(answer, len(asked), lambda path: path in asked))


def read_look_behind(answer: bytes, links: set[str]) -> dict[str, Seen]:
    """The entries in an answer of `tree.sh look_behind`: of what these links lead to and of what is below.

    One that is a link even to who follows links leads nowhere, and is of no kind that travels. Raises
    RefusedAnswerError.
    """
    seen = dict(_read(answer, MOST_BEHIND, lambda path: path in links or not links.isdisjoint(parents(path))))
    for path, (entry, _) in seen.items():
        if path not in links:
            checked_path(path)
        if entry.kind is EntryKind.LINK:
            raise refused("a link where links were followed", path)
    return seen


def _read(answer: bytes, most: int, was_asked: Callable[[str], bool]) -> Iterator[tuple[str, Seen]]:
    """Read `./PATH`, properties and a link's target, each ended by a zero byte."""
    count, rest = divmod(answer.count(b"\0"), 3)
    if rest or (not answer.endswith(b"\0") and answer):
        raise refused("it is cut or mixed with other words", _text(answer[-80:]))
    if count > most:
        raise refused(f"{count} entries where {most} were asked for", _text(answer[:80]))
    # One at a time, for it may be long.
    for fields in FIELDS.finditer(answer):
        path = _text(fields[1])
        if not path.startswith("./") or not was_asked(path[2:]):
            raise refused("a path that was not asked for", path)
        yield path[2:], _seen(fields[2], _text(fields[3]))


def _seen(properties: bytes, target: str) -> Seen:
    match = PROPERTIES.fullmatch(properties)
    kind = LETTERS.get(match[1]) if match else None
    if match is None or kind is None or (target and kind is not EntryKind.LINK):
        raise refused("it says nothing that a file can be", _text(properties))
    mode = int(match[2], 8) & 0o777
    stamp = Stamp(int(match[6]), match[7])
    if kind is EntryKind.FILE:
        time = int(match[4]) * SECOND + int((match[5] or b"")[:9].ljust(9, b"0"))
        return Seen(Entry(kind, mode, int(match[3]), min(time, LAST_TIME)), stamp)
    if kind is EntryKind.LINK and target:
        if len(target) > LONGEST_PATH:
            raise refused("a link's target that is too long", target)
        return Seen(Entry(kind, target=target), stamp)
    if kind is EntryKind.FOLDER:
        return Seen(Entry(kind, mode), stamp)
    return Seen(Entry(EntryKind.CLOSED if kind is EntryKind.CLOSED else EntryKind.SPECIAL), stamp)


def read_names(answer: bytes, asked: set[str]) -> set[str]:
    """The paths in an answer that may hold none but these, each ended by a zero byte."""
    names = {_text(name).removeprefix("./") for name in answer.split(b"\0") if name}
    for name in names - asked:
        raise refused("a path that was not asked for", name)
    return names


def read_touched(answer: bytes) -> dict[str, bytes]:
    """The paths in an answer of `tree.sh touched`, each with the time of its change: `TIME ./PATH`.

    Raises RefusedAnswerError.
    """
    changed = {}
    for line in filter(None, answer.split(b"\0")):
        time, _, name = line.partition(b" ./")
        if not TIME.fullmatch(time):
            raise refused("a time that is none", _text(time))
        changed[checked_path(_text(name))] = time
    return changed


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
