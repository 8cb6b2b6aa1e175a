"""Which transfers get a progress bar, sizes in words, and the biggest of what moves."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from ec2tasks.base import output
from ec2tasks.sync.entries import Entry, parents

WORTH_A_BAR = 2_000_000  # bytes
WORTH_A_WORD = 1_000_000_000  # bytes; of a push as big as this, the biggest items are named
BIGGEST = 5
MOST_OF = 0.9  # of a folder's bytes, where naming what holds them says more than naming the folder


def shows_bar(total: int) -> bool:
    """Whether a transfer of so many bytes gets a bar: on a terminal, where it takes a moment."""
    return total >= WORTH_A_BAR and output.shows_moving()


def size_text(count: float) -> str:
    """A number of bytes as people read it, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def biggest(entries: Mapping[str, Entry]) -> list[tuple[str, int]]:
    """The five biggest files or folders among entries, with their bytes.

    What makes up most of a folder stands for it.
    """
    sizes: dict[str, int] = {}
    children: dict[str, set[str]] = {}
    for path, entry in entries.items():
        for name in (*parents(path), path):
            sizes[name] = sizes.get(name, 0) + entry.size
            children.setdefault(name.rpartition("/")[0], set()).add(name)
    items: list[tuple[str, int]] = []
    waiting = [(-sizes[name], name) for name in children.get("", ())]
    heapq.heapify(waiting)
    while waiting and len(items) < BIGGEST:
        size, path = heapq.heappop(waiting)
        inside = children.get(path, ())
        if max((sizes[name] for name in inside), default=0) >= MOST_OF * -size:
            for name in inside:
                heapq.heappush(waiting, (-sizes[name], name))
        else:
            items.append((path, -size))
    return [(path, size) for path, size in items if size]
