"""What is felt while a command runs: a key's way there and back, and what a client takes that only waits."""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence

from bench.measure import Row, used
from bench.stage import Stage

SETTLED = 1.0  # seconds with nothing new after which a shell is at its prompt
KEYS = 20
IDLE = 20  # seconds


def rows(stage: Stage, rounds: int) -> Iterator[Row]:  # noqa: ARG001  # a key is pressed often enough
    """Echo at 50 ms beside `ssh -t`; processor and memory of an idle client beside `ssh` with keepalives."""
    with stage.latency(50):
        ours = echo(stage, ["ec2tasks", "shell", "--leave", "--no-rsync"])
        floor = echo(stage, [stage.ssh[0], "-t", *stage.ssh[1:]])
    yield Row(
        what="echo of a key in `shell` at 50 ms",
        figure=ours,
        floor=floor,
        beside="plain `ssh -t`",
        target=1.1,
    )
    yield from idle(stage)


def echo(stage: Stage, argv: Sequence[str]) -> float:
    """The median seconds from a key to its echo, in this command's shell."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv,
        cwd=stage.root,
        env=stage.environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    _drain(ours, first=30.0)
    times = []
    for _ in range(KEYS):
        began = time.perf_counter()
        os.write(ours, b"x")
        select.select([ours], [], [], 5.0)
        times.append(time.perf_counter() - began)
        _drain(ours, first=0.2, settled=0.2)
    os.write(ours, b"\x15exit\r")
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        _drain(ours, first=0.2, settled=0.2)
    process.kill()
    process.wait()
    os.close(ours)
    return statistics.median(times)


def _drain(end: int, *, first: float, settled: float = SETTLED) -> None:
    """Read until nothing has come for a while; for so many seconds for the first."""
    wait = first
    while select.select([end], [], [], wait)[0]:
        try:
            if not os.read(end, 65536):
                return
        except OSError:
            return
        wait = settled


def idle(stage: Stage) -> Iterator[Row]:
    """What a client takes that waits for a command: beyond what the same takes that ends at once."""
    keeps = ["-o", "ServerAliveInterval=5"]

    def both(seconds: int) -> tuple[float, float, float]:
        ours = used(
            ["ec2tasks", "run", "--leave", "--no-rsync", f"sleep {seconds}"], stage.root, stage.environ
        )
        argv = [stage.ssh[0], *keeps, *stage.ssh[1:], f"sleep {seconds}"]
        return ours.cpu, used(argv, stage.root, stage.environ).cpu, ours.memory

    short, long = both(0), both(IDLE)
    cpu = [max(0.0, long[at] - short[at]) * 3600 / IDLE for at in (0, 1)]
    what = f"processor of an idle client, an hour (plain ssh: {cpu[1]:.1f} s)"
    yield Row(what=what, figure=cpu[0], target=20.0)
    yield Row(what="memory of an idle client", figure=long[2], unit="MB", target=60.0)
