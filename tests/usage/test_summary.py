"""What samples come to: means over the time, peaks, curves of few points, and a curve as blocks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.usage.samples import Gpu, Sample
from ec2tasks.usage.summary import BLOCKS, POINTS, drawn, sparkline, summed_up

VALUES = st.floats(0, 1e12, allow_nan=False)
STEPS = st.lists(st.tuples(st.floats(0.1, 1e6), VALUES), min_size=1, max_size=300)


def sample(time: float, *, cpu: float = 0.0, received: int = 0, gpus: tuple[Gpu, ...] = ()) -> Sample:
    return Sample(
        time=time,
        cpu=cpu,
        memory=4,
        memory_total=16,
        disk=5,
        disk_total=50,
        received=received,
        sent=0,
        gpus=gpus,
    )


def gpu(utilisation: float | None, memory: int | None = 3) -> Gpu:
    return Gpu(utilisation=utilisation, memory=memory, memory_total=8, power=None, power_limit=None)


def test_no_samples_come_to_nothing() -> None:
    assert summed_up([]) is None


def test_means_are_over_the_time_and_peaks_are_what_was_seen() -> None:
    found = summed_up([sample(10, cpu=1.0), sample(40, cpu=0.0), sample(50, cpu=0.5)])
    assert found
    assert (found.seconds, found.count) == (50, 3)
    assert found.cpu.mean == pytest.approx((10 * 1 + 30 * 0 + 10 * 0.5) / 50)
    assert found.cpu.peak == 1.0
    assert (found.memory.mean, found.memory_total, found.disk_total) == (4, 16, 50)


def test_the_network_is_what_it_grew_by_and_never_less_than_nothing() -> None:
    found = summed_up([sample(10, received=100), sample(20, received=400), sample(30, received=10)])
    assert found
    assert list(found.received_rate.points) == [10, 30, 0]
    assert found.received == 10


def test_a_gpu_that_is_told_of_now_and_then_is_summed_up_from_that() -> None:
    found = summed_up([sample(10), sample(20, gpus=(gpu(None),)), sample(30, gpus=(gpu(0.5), gpu(0.1)))])
    assert found
    first, second = found.gpus
    assert first.utilisation
    assert (first.utilisation.mean, first.memory_total, first.power) == (0.5, 8, None)
    assert second.memory
    assert second.memory.peak == 3


def told(steps: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Values by their time, of how long each held."""
    time, values = 0.0, []
    for length, value in steps:
        time += length
        values.append((time, value))
    return values


@given(STEPS)
def test_a_curve_has_few_points_and_nothing_beyond_what_was_seen(steps: list[tuple[float, float]]) -> None:
    curve = drawn(told(steps))
    low, high = min(value for _, value in steps), max(value for _, value in steps)
    assert curve.peak == high
    assert 1 <= len(curve.points) <= min(POINTS, len(steps))
    assert all(low <= point <= high for point in (*curve.points, curve.mean))


@given(STEPS)
def test_the_points_of_a_curve_have_the_mean_of_the_whole(steps: list[tuple[float, float]]) -> None:
    curve = drawn(told(steps))
    assert sum(curve.points) / len(curve.points) == pytest.approx(curve.mean, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "top", "line"),
    [
        ((), 1, ""),
        ((0.5,), 0, ""),
        ((0.0, 1.0), 1, "▁█"),
        ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 1, "▁▂▄▅▇█"),
        ((9.0, -1.0), 1, "█▁"),
        ((0.0,) * 30 + (1.0,) * 30, 1, "▁▁▁▁████"),
    ],
)
def test_a_curve_as_blocks(points: tuple[float, ...], top: float, line: str) -> None:
    assert sparkline(points, top=top) == line


@given(st.lists(VALUES, max_size=POINTS), VALUES, st.integers(1, 40))
def test_blocks_are_never_more_than_asked_for(points: list[float], top: float, width: int) -> None:
    line = sparkline(points, top=top, width=width)
    assert len(line) <= width
    assert set(line) <= set(BLOCKS)
