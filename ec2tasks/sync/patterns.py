"""Tells which names no ignore pattern can fit, without asking rsync: those of most new files. Pure.

Rsync alone decides what a pattern fits (FILTER RULES of https://download.samba.org/pub/rsync/rsync.1). But
what it fits ends in a name in which the letters of the pattern's last part stand, in their order: where no
name of a path has those of any pattern, the path travels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

CLASSES = re.compile(r"\[.*\]|\[.*", re.DOTALL)  # from the first one to the end of the last one
WILDCARDS = re.compile(r"[*?\\]+")


def may_fit(filters: Sequence[str]) -> Callable[[str], object]:
    """A function that tells of a name whether one of these options of rsync's may keep it out.

    So it says yes to every name for an option or a pattern that it can't read.
    """
    parts = [_needed(pattern) for pattern in _patterns(filters)]
    known = [part for part in parts if part is not None]
    return (
        re.compile("|".join(known), re.DOTALL).fullmatch if len(known) == len(parts) else lambda _name: True
    )


def _patterns(filters: Iterable[str]) -> Iterator[str]:
    """What these options leave out; `*` for what can't be told."""
    for option in filters:
        name, _, value = option.partition("=")
        if name == "--exclude-from":
            text = Path(value).read_bytes().decode("utf-8", "surrogateescape")
            # As rsync reads it, either of them ends a line.
            yield from (
                line.removeprefix("- ")
                for line in re.split(r"[\r\n]", text)
                if line and not line.startswith(("#", ";", "+ "))
            )
        elif name != "--include":
            yield value if name == "--exclude" else "*"


def _needed(pattern: str) -> str | None:
    """What a name in each path that a pattern fits must look like, as a regular expression; None for any."""
    classes = CLASSES.search(pattern)
    if pattern == "!" or (classes and re.search(r"/|\*\*", classes[0])):
        return None
    for part in reversed(CLASSES.sub("?", pattern).strip("/").split("/")):
        # Two stars fit slashes too: what stands before them may be in another name.
        _, several, last = part.rpartition("**")
        wanted = f"*{last}" if several else part
        if WILDCARDS.sub("", wanted):
            return ".*".join(re.escape(text) for text in WILDCARDS.split(wanted))
        if several and part.strip("*"):
            return None
    return None
