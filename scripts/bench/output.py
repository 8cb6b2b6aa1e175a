"""What a command prints, on its way into a file here: beside a plain ssh."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from bench.measure import Row, used, wall
from bench.stage import Stage

MEMORY = 60  # MB
BOUND = "it is kept on the instance's disk and read from there, so that no cut loses any of it"


def rows(stage: Stage, rounds: int, sizes: tuple[int, ...] = (200, 2000)) -> Iterator[Row]:
    """So many MB each; what memory the largest takes."""
    memory = 0.0
    for size in sizes:
        ours, floor, most = through_both(stage, max(3, rounds // 2) if size < 1000 else 3, size)
        memory = max(memory, most)
        yield Row(
            what=f"output of a job, {size} MB, to a file",
            figure=ours,
            floor=floor,
            beside="plain `ssh`",
            target=1.2 if size < 1000 else 1.3,
            bound=BOUND,
        )
    yield Row(what=f"memory for {sizes[-1]} MB of output", figure=memory, target=MEMORY, unit="MB")


def through_both(stage: Stage, rounds: int, megabytes: int) -> tuple[float, float, float]:
    """Seconds of ours and of plain ssh, and the most memory of ours."""
    show = f"head -c {megabytes}000000 /dev/zero"
    most = [0.0]

    def carried(argv: list[str]) -> float:
        with tempfile.TemporaryFile(dir=stage.root.parent) as out:
            return used(argv, stage.root, stage.environ, out.fileno()).memory

    def ours() -> None:
        most.append(carried(["ec2tasks", "run", "--leave", "--no-rsync", show]))

    found = wall(rounds, {"plain": lambda: carried([*stage.ssh, show]), "ours": ours})
    return found["ours"], found["plain"], max(most)
