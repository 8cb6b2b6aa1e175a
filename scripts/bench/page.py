"""The page of all figures: docs/performance.md, with its curves, and the same rows on the terminal."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench.growth import Curve
from bench.measure import Row
from bench.plot import svg

DOCS = Path(__file__).parents[2] / "docs"
ABOUT = """# What ec2tasks takes

Written by `make bench`, {date}, on {machine}, at commit {commit}.
Each row is timed in turn with its floor in one run, on the local EC2. The figures are medians; what holds on
another machine is the ratio, not the seconds. `make bench-quick` takes a minute, `make bench-compare REV=…`
sets another commit beside this one.
"""


def line(row: Row) -> str:
    """The row on a terminal."""
    floor = f"{_figure(row.floor, row.unit)} {row.beside}" if row.floor is not None else ""
    verdict = "" if row.good else "   MISSED"
    what = f"{row.what:<52} {_figure(row.figure, row.unit):>9}"
    return f"{what}   {_held(row):>6} (at most {row.target:g})   {floor}{verdict}".rstrip()


def _held(row: Row) -> str:
    """What is held to the target, where it is not the figure itself."""
    return "-" if row.floor is None else f"{row.ratio:.2f}"


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    number = f"{value:.3f}" if unit == "s" and value < 1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"
    return f"{number} {unit}".strip()


def write(rows: Sequence[Row], curves: Sequence[Curve], folder: Path = DOCS) -> None:
    """Write the page and its curves."""
    (folder / "performance.md").write_text(text(rows, curves), encoding="utf-8")
    for curve in curves:
        (folder / f"growth-{curve.name}.svg").write_text(svg(curve), encoding="utf-8")


def text(rows: Sequence[Row], curves: Sequence[Curve]) -> str:
    """The page's text."""
    about = ABOUT.format(
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}", machine=machine(), commit=commit(DOCS)
    )
    table = ["| what | figure | floor | ratio | target |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = _held(row) if row.good else f"**{_held(row) if row.floor else 'missed'}**"
        floor = f"{_figure(row.floor, row.unit)}: {row.beside}" if row.floor is not None else "-"
        table.append(
            f"| {row.what} | {_figure(row.figure, row.unit)} | {floor} | {ratio} | ≤ {row.target:g} |"
        )
    missed = [
        f"- {row.what}{f', beside {row.beside}' if row.beside else ''}: {row.bound or 'not looked into yet'}."
        for row in rows
        if not row.good
    ]
    parts = [about, "\n".join(table), ""]
    if missed:
        parts += ["## What misses its target, and what bounds it", "", "\n".join(missed), ""]
    if curves:
        parts += ["## How it grows", "", "Both axes are logarithmic: what is linear is straight.", ""]
    for curve in curves:
        word = "linear or better" if curve.linear else "**more than linear**"
        parts += [f"{curve.what}: {word}.", "", f"![{curve.what}](growth-{curve.name}.svg)", ""]
    return "\n".join(parts)


def machine() -> str:
    """The machine in words: processor, cores, kernel, Python, and its load in the last quarter of an hour."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    cores = len(os.sched_getaffinity(0))
    name = " ".join(model[1].split()) if model else platform.machine()
    load = f"{os.getloadavg()[2]:.1f} processes at work meanwhile, the benchmark's own among them"
    return f"{cores} cores of {name}, Linux {platform.release()}, Python {platform.python_version()}, {load}"


def commit(folder: Path) -> str:
    """The commit that is checked out, by its short name; with `+` where something is changed."""
    argv = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False).stdout.strip() or "?"
