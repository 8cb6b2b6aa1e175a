"""What is felt while a command runs: a key's way there and back, and what a client takes that only waits."""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Row
from bench.stage import Stage

SETTLED = 1.0  # seconds with nothing new after which a shell is at its prompt
KEYS = 20
SETTLING, IDLE = 8, 20  # seconds


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
    """What a client takes that waits for a command, beside an ssh that does. Without the kept connection."""
    keeps = ["-o", "ServerAliveInterval=5"]
    ours = waiting(stage, ["ec2tasks", "run", "--leave", "--no-rsync", f"sleep {SETTLING + IDLE + 5}"])
    argv = [stage.ssh[0], *keeps, *stage.ssh[1:], f"sleep {SETTLING + IDLE + 5}"]
    theirs = waiting(stage, argv)
    yield Row(
        what="processor of an idle client, an hour",
        figure=ours[0] * 3600 / IDLE,
        floor=theirs[0] * 3600 / IDLE,
        beside="`ssh` with keepalives",
        target=2.0,
        bound="a word to the instance every 5 s, a look for its notice every 0.5 s",
    )
    yield Row(what="memory of an idle client", figure=ours[1], unit="MB", target=60.0)


def waiting(stage: Stage, argv: Sequence[str]) -> tuple[float, float]:
    """Seconds of processor that this command and its children take while it waits, and its MB of memory."""
    process = subprocess.Popen(
        argv, cwd=stage.root, env=stage.environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(SETTLING)
    before = ran(process.pid)
    time.sleep(IDLE)
    after = ran(process.pid)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    process.terminate()
    process.wait()
    return after - before, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ran(pid: int) -> float:
    """Seconds of processor that a process and its children have taken so far, to the nanosecond.

    https://docs.kernel.org/scheduler/sched-stats.html
    """
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        total += sum(ran(int(child)) for child in (task / "children").read_text().split())
    return total
