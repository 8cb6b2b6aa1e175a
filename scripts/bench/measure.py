"""Times several things in turn, so that the machine's other work weighs on all alike; a row of the table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.stage import timed


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside its floor. `target`: the most their ratio may be; `bound`: what keeps it from less.

    With no floor the figure itself is held to the target.
    """

    what: str
    figure: float
    target: float
    floor: float | None = None
    beside: str = ""
    unit: str = "s"
    bound: str = ""

    @property
    def ratio(self) -> float:
        """What is held to the target."""
        return self.figure if self.floor is None else self.figure / max(self.floor, 1e-9)

    @property
    def good(self) -> bool:
        """Whether it holds."""
        return self.ratio <= self.target


def in_turn(rounds: int, works: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of what each returns, all called in turn so many times."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work())
    return {name: statistics.median(values) for name, values in found.items()}


def wall(rounds: int, works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds that each takes, in turn."""
    return in_turn(rounds, {name: lambda work=work: timed(work) for name, work in works.items()})


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one process and those that it waited for took: seconds of processor, MB of memory at most."""

    cpu: float
    memory: float


def used(argv: Sequence[str], root: Path, environ: dict[str, str], out: int = subprocess.DEVNULL) -> Used:
    """Run a command to its end, its output to that file; what it took."""
    process = subprocess.Popen(
        argv, cwd=root, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL
    )
    _, status, taken = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{argv[0]} ended with {process.returncode}")
    return Used(cpu=taken.ru_utime + taken.ru_stime, memory=taken.ru_maxrss / 1024)
