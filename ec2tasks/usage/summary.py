"""What the samples of a job come to: the mean, peak and curve of each measure, and a curve as a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ec2tasks.base.dataclass import dataclass
from ec2tasks.usage.samples import Gpu, Sample

POINTS = 60  # of a curve at most
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One measure over the job's time: its mean, its peak, and 60 points at most, at equal distances."""

    mean: float
    peak: float
    points: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class GpuSummary:
    """What one GPU did, in the units of `samples.Gpu`; None is what was never told."""

    utilisation: Curve | None
    memory: Curve | None
    memory_total: int | None
    power: Curve | None
    power_limit: float | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the samples of a job come to, in the units of `samples.Sample`; `seconds` up to the last one.

    `received_rate`, `sent_rate` are bytes a second, `received`, `sent` bytes in all.
    """

    seconds: float
    count: int
    cpu: Curve
    memory: Curve
    memory_total: int
    disk: Curve
    disk_total: int
    received: int
    sent: int
    received_rate: Curve
    sent_rate: Curve
    gpus: tuple[GpuSummary, ...]


def summed_up(samples: Sequence[Sample]) -> Summary | None:
    """The summary of these samples, which are in the order of their times; None where there are none."""
    if not samples:
        return None
    last = samples[-1]
    return Summary(
        seconds=last.time,
        count=len(samples),
        cpu=_curve(samples, lambda sample: sample.cpu),
        memory=_curve(samples, lambda sample: float(sample.memory)),
        memory_total=last.memory_total,
        disk=_curve(samples, lambda sample: float(sample.disk)),
        disk_total=last.disk_total,
        received=last.received,
        sent=last.sent,
        received_rate=_rate(samples, lambda sample: sample.received),
        sent_rate=_rate(samples, lambda sample: sample.sent),
        gpus=tuple(
            _gpu(samples, place) for place in range(max((len(sample.gpus) for sample in samples), default=0))
        ),
    )


def _gpu(samples: Sequence[Sample], place: int) -> GpuSummary:
    known = [(sample.time, sample.gpus[place]) for sample in samples if place < len(sample.gpus)]

    def curve(measure: Callable[[Gpu], float | None]) -> Curve | None:
        told = [(time, value) for time, gpu in known if (value := measure(gpu)) is not None]
        return drawn(told) if told else None

    return GpuSummary(
        utilisation=curve(lambda gpu: gpu.utilisation),
        memory=curve(lambda gpu: gpu.memory),
        memory_total=known[-1][1].memory_total,
        power=curve(lambda gpu: gpu.power),
        power_limit=known[-1][1].power_limit,
    )


def _curve(samples: Sequence[Sample], measure: Callable[[Sample], float]) -> Curve:
    return drawn([(sample.time, measure(sample)) for sample in samples])


def _rate(samples: Sequence[Sample], count: Callable[[Sample], int]) -> Curve:
    """How a count grows, a second; one that fell, where an interface went, did not grow."""
    values, time, before = [], 0.0, 0
    for sample in samples:
        passed = sample.time - time
        if passed > 0:
            values.append((sample.time, max(0, count(sample) - before) / passed))
        time, before = sample.time, count(sample)
    return drawn(values or [(samples[0].time, 0.0)])


def drawn(values: Sequence[tuple[float, float]]) -> Curve:
    """The curve of these values, each of which holds since the time of the one before.

    The mean is that over the time: the distances between samples differ where the instance has thinned them.
    """
    starts = [0.0, *(time for time, _ in values[:-1])]
    spans = [(start, max(time, start), value) for start, (time, value) in zip(starts, values, strict=True)]
    return Curve(
        mean=_mean(spans, 0.0, spans[-1][1]),
        peak=max(value for _, value in values),
        points=_points(spans, min(POINTS, len(values))),
    )


def _points(spans: Sequence[tuple[float, float, float]], count: int) -> tuple[float, ...]:
    """The means over so many equal parts of the time."""
    end = spans[-1][1]
    edges = [end * place / count for place in range(count + 1)]
    points, first = [], 0
    for begin, stop in pairwise(edges):
        while first < len(spans) - 1 and spans[first][1] <= begin:
            first += 1
        last = first
        while last < len(spans) - 1 and spans[last][1] < stop:
            last += 1
        points.append(_mean(spans[first : last + 1], begin, stop))
    return tuple(points)


def _mean(spans: Sequence[tuple[float, float, float]], begin: float, stop: float) -> float:
    """The mean of what holds between two moments; of all of them where no time passes."""
    parts = [(min(end, stop) - max(start, begin), value) for start, end, value in spans]
    whole = sum(length for length, _ in parts if length > 0)
    if whole <= 0:
        return sum(value for _, _, value in spans) / len(spans)
    low, high = min(value for _, value in parts), max(value for _, value in parts)
    # Floats may add up to a hair beyond what they are the mean of.
    return min(high, max(low, sum(length * value for length, value in parts if length > 0) / whole))


def sparkline(points: Sequence[float], *, top: float, width: int = 8) -> str:
    """The points as a line of blocks, `width` at most, the highest block for what reaches `top`."""
    if not points or top <= 0:
        return ""
    width = min(width, len(points))
    groups = [
        points[place * len(points) // width : (place + 1) * len(points) // width] for place in range(width)
    ]
    shares = [min(1.0, max(0.0, sum(group) / len(group) / top)) for group in groups]
    return "".join(BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))] for share in shares)
