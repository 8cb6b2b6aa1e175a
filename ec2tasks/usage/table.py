"""What a job used of its machine, measure by measure: as a table's rows, and as JSON can hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from ec2tasks.usage.line import gib_text
from ec2tasks.usage.summary import Curve, GpuSummary, Summary, sparkline

WIDTH = 30  # blocks of a curve
HEADING = ("MEASURE", "CURVE", "MEAN", "PEAK", "OF")
Row = tuple[str, str, str, str, str]


def table_rows(summary: Summary, *, curves: bool) -> list[Sequence[str]]:
    """The measures as a table, its heading first; with their curves where those can be shown."""
    rows: list[Row] = [HEADING, *_gpu_rows(summary.gpus), *_machine_rows(summary)]
    return [row if curves else (row[0], *row[2:]) for row in rows]


def _gpu_rows(gpus: Sequence[GpuSummary]) -> list[Row]:
    rows = []
    for place, gpu in enumerate(gpus):
        name = "gpu" if len(gpus) == 1 else f"gpu {place}"
        total, limit = gpu.memory_total or 0, gpu.power_limit or 0
        if gpu.utilisation:
            rows.append(_row(name, gpu.utilisation, _percent, top=1))
        if gpu.memory:
            rows.append(_row(f"{name} memory", gpu.memory, _gib, top=total, of=_gib(total)))
        if gpu.power:
            top = limit or gpu.power.peak
            rows.append(_row(f"{name} power", gpu.power, _watt, top=top, of=_watt(limit) if limit else ""))
    return rows


def _machine_rows(summary: Summary) -> list[Row]:
    memory, disk = summary.memory_total, summary.disk_total
    received, sent = summary.received_rate, summary.sent_rate
    return [
        _row("cpu", summary.cpu, _percent, top=1),
        _row("memory", summary.memory, _gib, top=memory, of=_gib(memory)),
        _row("disk", summary.disk, _gib, top=disk, of=_gib(disk)),
        _row("network in", received, _rate, top=received.peak, of=_amount(summary.received)),
        _row("network out", sent, _rate, top=sent.peak, of=_amount(summary.sent)),
    ]


def _row(name: str, curve: Curve, text: Callable[[float], str], *, top: float, of: str = "") -> Row:
    return (name, sparkline(curve.points, top=top, width=WIDTH), text(curve.mean), text(curve.peak), of)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _gib(size: float) -> str:
    return f"{gib_text(size)} GB"


def _watt(power: float) -> str:
    return f"{power:.0f} W"


def _rate(speed: float) -> str:
    return f"{speed / 1e6:.1f} MB/s"


def _amount(size: int) -> str:
    return f"{gib_text(size)} GB in all"


def summary_json(summary: Summary) -> dict[str, object]:
    """The summary as JSON can hold it: bytes, shares from 0 to 1, seconds, watts."""
    return asdict(summary)
