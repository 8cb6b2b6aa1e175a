"""How far a transfer has got, on a terminal: a bar with rate and time left (rich's)."""

from __future__ import annotations

import contextlib
import heapq
import os
import sys
from collections.abc import Callable, Iterator, Mapping

from ec2tasks.sync.entries import Entry

WORTH_A_BAR = 2_000_000  # bytes
WORTH_A_WORD = 1_000_000_000  # bytes; of a push as big as this, the biggest items are named
BIGGEST = 5
MOST_OF = 0.9  # of a folder's bytes, where naming what holds them says more than naming the folder


def shows_bar(total: int) -> bool:
    """Whether a transfer of so many bytes gets a bar: on a terminal, where it takes a moment."""
    return total >= WORTH_A_BAR and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def bar(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar for so many bytes while inside; what comes out is told how many have moved."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("ec2: {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(verb, total=total)
        yield lambda moved: shown.update(task, completed=min(moved, total))


def size_text(count: float) -> str:
    """A number of bytes as people read it, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def biggest(entries: Mapping[str, Entry]) -> list[tuple[str, int]]:
    """The five biggest files or folders among these; what makes up most of a folder stands for it."""
    sizes: dict[str, int] = {}
    children: dict[str, set[str]] = {}
    for path, entry in entries.items():
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            one = "/".join(parts[:depth])
            sizes[one] = sizes.get(one, 0) + entry.size
            children.setdefault("/".join(parts[: depth - 1]), set()).add(one)
    found: list[tuple[str, int]] = []
    waiting = [(-sizes[one], one) for one in children.get("", ())]
    heapq.heapify(waiting)
    while waiting and len(found) < BIGGEST:
        size, name = heapq.heappop(waiting)
        inside = children.get(name, ())
        if max((sizes[one] for one in inside), default=0) >= MOST_OF * -size:
            for one in inside:
                heapq.heappush(waiting, (-sizes[one], one))
        else:
            found.append((name, -size))
    return [(name, size) for name, size in found if size]
