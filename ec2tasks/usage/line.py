"""What a job used of its machine, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from ec2tasks.config.parsers import duration
from ec2tasks.usage.summary import Curve, GpuSummary, Summary, sparkline

GIB = 1024**3


def use_line(summary: Summary, *, seconds: float, cost: float | None, curves: bool = True) -> str:
    """What was measured of a job of so many seconds, and its cost in dollars where that is known.

    With `curves` where they can be shown. Memory is its peak, in GiB as AWS counts it; of several GPUs, their
    mean utilisation and the fullest one's memory.
    """
    parts = [
        *_gpu_parts(summary.gpus, curves=curves),
        share_text("cpu", [summary.cpu], curves=curves),
        f"memory {size_text(summary.memory.peak, summary.memory_total)}",
        duration(seconds),
        f"≈ ${cost:.2f}" if cost is not None else "",
    ]
    return " · ".join(part for part in parts if part)


def _gpu_parts(gpus: Sequence[GpuSummary], *, curves: bool) -> list[str]:
    name = "gpu" if len(gpus) == 1 else f"{len(gpus)} gpus"
    used = [gpu.utilisation for gpu in gpus if gpu.utilisation]
    memory = fullest(gpus)
    return [
        share_text(name, used, curves=curves) if used else "",
        f"gpu memory {size_text(*memory)}" if memory else "",
    ]


def fullest(gpus: Sequence[GpuSummary]) -> tuple[float, int] | None:
    """The peak and the size of the memory of the GPU that was nearest to full; None where that is unknown."""
    known = [(gpu.memory.peak, gpu.memory_total) for gpu in gpus if gpu.memory and gpu.memory_total]
    return max(known, key=lambda memory: memory[0] / memory[1], default=None)


def mean(values: Sequence[float]) -> float:
    """The mean of some values: Python's own would have every start wait for decimals and fractions."""
    return sum(values) / len(values)


def share_text(name: str, used: Sequence[Curve], *, curves: bool) -> str:
    """A share by its name, curve and mean; of several, the mean of all."""
    points = [mean(values) for values in zip(*(one.points for one in used), strict=False)]
    curve = f"{sparkline(points, top=1)} " if curves else ""
    return f"{name} {curve}{mean([one.mean for one in used]):.0%}".replace("%", " %")


def size_text(used: float, total: float) -> str:
    """So many GiB of so many, as `9.1 of 15 GB`."""
    return f"{gib_text(used)} of {gib_text(total)} GB"


def gib_text(size: float) -> str:
    """A size in GiB, without the unit."""
    gib = size / GIB
    return f"{round(gib, 1):g}" if gib < 9.95 else f"{gib:.0f}"
