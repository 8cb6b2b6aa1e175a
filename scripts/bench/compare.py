"""What a start and a warm run take here and at another commit, in turn on one instance."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import in_turn, used, wall
from bench.stage import Stage
from bench.warm import RUN

REPO = Path(__file__).parents[2]
CALLS = (["ec2tasks", "--version"], ["ec2tasks", "--list"], ["ec2tasks", "config"], RUN)


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A folder with that commit of this repository."""
    with tempfile.TemporaryDirectory(prefix="ec2rev") as name:
        folder = Path(name) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "-q", "--detach", str(folder), revision], cwd=REPO, check=True
        )
        try:
            yield folder
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=REPO, check=True)


def lines(stage: Stage, rounds: int, revision: str) -> Iterator[str]:
    """Each call's seconds of processor and of the clock, here and there, and their ratio."""
    with checked_out(revision) as folder:
        there = {**stage.environ, "PYTHONPATH": str(folder)}
        yield f"{'':<32} {'here':>8} {revision[:10]:>12} {'ratio':>7}"
        for argv in CALLS:
            stage.run(argv, there)  # its modules are compiled now
            cpu = in_turn(
                rounds,
                {
                    "here": lambda argv=argv: used(argv, stage.root, stage.environ).cpu,
                    "there": lambda argv=argv: used(argv, stage.root, there).cpu,
                },
            )
            clock = wall(
                rounds,
                {
                    "here": lambda argv=argv: stage.run(argv),
                    "there": lambda argv=argv: stage.run(argv, there),
                },
            )
            for kind, found in (("CPU", cpu), ("clock", clock)):
                name = f"{' '.join(argv)}, {kind}"
                ratio = found["here"] / found["there"]
                yield f"{name:<32} {found['here']:>8.3f} {found['there']:>12.3f} {ratio:>7.2f}"
