"""What grows with what: the figures behind the curves of docs/performance.md."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bench_sync

from bench import output
from bench.stage import Stage

OUTPUTS = (1, 10, 100, 1000)  # MB
FILES = (1_000, 10_000, 100_000)
CALLS = 3


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of one growth, the seconds of each, and those of the floor, if any. `name` is its file's."""

    name: str
    what: str
    unit: str
    points: Sequence[tuple[float, float]]
    floor: Sequence[tuple[float, float]] = ()

    @property
    def linear(self) -> bool:
        """Whether ten times as much takes at most 11 times as long, from the second point on."""
        pairs = zip(self.points[1:], self.points[2:], strict=False)
        return all(late / early <= 1.1 * more / few for (few, early), (more, late) in pairs)


def output_curve(stage: Stage) -> Curve:
    """A job's output into a file here, from 1 MB to 1 GB."""
    ours, floor = [], []
    for size in OUTPUTS:
        seconds, plain, _ = output.through_both(stage, CALLS, size)
        ours.append((float(size), seconds))
        floor.append((float(size), plain))
    return Curve(name="output", what="output of a job", unit="MB", points=ours, floor=floor)


def files_curve() -> Curve:
    """A sync with nothing to move, from 1,000 to 100,000 files."""
    with tempfile.TemporaryDirectory(prefix="ec2b", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        there = bench_sync.Bench(folder)
        try:
            grown = bench_sync.growth(there, folder / "files", FILES)
        finally:
            subprocess.run(["ec2tasks", "local.down"], cwd=folder, env=there.environ, capture_output=True)
    points = [(float(count), thousand * count / 1000) for count, thousand, _ in grown]
    return Curve(name="files", what="a sync with nothing to move", unit="files", points=points)


def jobs_curve(stage: Stage, counts: Sequence[int] = (1, 10, 50)) -> Curve:
    """`ec2tasks jobs` with so many jobs on the instance, which keeps the last fifty."""
    points = []
    have = 0
    for count in counts:
        for _ in range(count - have):
            stage.run(["ec2tasks", "run", "--leave", "--no-rsync", "true"])
        have = count
        times = [bench_sync.timed(lambda: stage.run(["ec2tasks", "jobs"])) for _ in range(CALLS)]
        points.append((float(count), statistics.median(times)))
    return Curve(name="jobs", what="`ec2tasks jobs`", unit="jobs", points=points)
