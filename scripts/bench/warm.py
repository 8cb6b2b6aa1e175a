"""A run on an instance that is up, with nothing to move: beside the three commands that it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import Row, wall
from bench.stage import Stage

RUN = ["ec2tasks", "run", "--leave", "true"]
AT_ZERO = "Python, Invoke and our own modules begin before anything is asked: 0.15 s of processor"
AT_LATENCY = "the session, each comparison and the command are asked one after the other"


def rows(stage: Stage, rounds: int, latencies: tuple[int, ...] = (50, 150)) -> Iterator[Row]:
    """The same with no latency and with some; the round trips that follow from it; make around it."""
    found = _times(stage, rounds)
    yield _row("0 ms", found["ours"], found["plain"], "three plain connections", 0.4, AT_ZERO)
    yield _row("0 ms", found["ours"], found["kept"], "the same over one kept connection", 2.0, AT_ZERO)
    before = {0: found}
    for latency in latencies:
        with stage.latency(latency):
            stage.run(RUN)
            found = before[latency] = _times(stage, max(3, rounds // 2))
        yield _row(f"{latency} ms", found["ours"], found["kept"], "one kept connection", 1.0, AT_LATENCY)
    longest = max(before)
    trips = {name: (before[longest][name] - before[0][name]) / longest * 1000 for name in ("ours", "kept")}
    yield Row(
        what=f"round trips of a warm run ({trips['kept']:.0f} over one kept connection)",
        figure=trips["ours"],
        target=4,
        unit="",
        bound=AT_LATENCY,
    )
    yield from _make(stage, rounds)


def _times(stage: Stage, rounds: int) -> dict[str, float]:
    return wall(
        rounds,
        {
            "plain": lambda: stage.all_of(stage.plain),
            "kept": lambda: stage.all_of(stage.kept),
            "ours": lambda: stage.run(RUN),
        },
    )


def _row(latency: str, figure: float, floor: float, beside: str, target: float, bound: str) -> Row:
    what = f"warm `run true` at {latency}"
    return Row(what=what, figure=figure, floor=floor, beside=beside, target=target, bound=bound)


def _make(stage: Stage, rounds: int) -> Iterator[Row]:
    """What `make on-ec2-x` takes beyond the call that it makes, beside a make that does nothing."""
    found = wall(
        rounds,
        {
            "make": lambda: stage.run(["make", "-s", "on-ec2-x"]),
            "call": lambda: stage.run(["ec2tasks", "make", "--default-end", "leave", "x"]),
            "alone": lambda: stage.run(["make", "-s", "x"]),
        },
    )
    yield Row(
        what="`make on-ec2-x` beside `ec2tasks make x`",
        figure=found["make"],
        floor=found["call"] + found["alone"],
        beside="that and make's own start",
        target=1.1,
    )
