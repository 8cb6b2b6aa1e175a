"""What a job used, in one line: only what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.usage.line import GIB, size_text, use_line
from ec2tasks.usage.samples import Gpu, Sample
from ec2tasks.usage.summary import summed_up


def sample(time: float, cpu: float, *gpus: Gpu) -> Sample:
    return Sample(
        time=time,
        cpu=cpu,
        memory=5 * GIB,
        memory_total=16 * GIB,
        disk=0,
        disk_total=0,
        received=0,
        sent=0,
        gpus=gpus,
    )


def gpu(utilisation: float | None, memory: float | None = None) -> Gpu:
    used = None if memory is None else int(memory * GIB)
    return Gpu(utilisation=utilisation, memory=used, memory_total=15 * GIB, power=None, power_limit=None)


CPU = "cpu ▁█ 50 % · memory 5 of 16 GB · 41 min"


@pytest.mark.parametrize(
    ("samples", "cost", "line"),
    [
        ([sample(10, 0.1), sample(20, 0.9)], None, CPU),
        (
            [sample(10, 0.1, gpu(0.1, 1)), sample(20, 0.9, gpu(1.0, 9.1))],
            0.4501,
            f"gpu ▁█ 55 % · gpu memory 9.1 of 15 GB · {CPU} · ≈ $0.45",
        ),
        ([sample(10, 0.1, gpu(None)), sample(20, 0.9, gpu(None))], None, CPU),
        (
            [sample(20, 0.5, gpu(1, 1), gpu(0, 12.34))],
            None,
            "2 gpus ▅ 50 % · gpu memory 12 of 15 GB · cpu ▅ 50 % · memory 5 of 16 GB · 41 min",
        ),
    ],
)
def test_the_line_of_a_job(samples: list[Sample], cost: float | None, line: str) -> None:
    summary = summed_up(samples)
    assert summary
    assert use_line(summary, seconds=41 * 60, cost=cost) == line
    plain = use_line(summary, seconds=41 * 60, cost=cost, curves=False)
    assert not set(plain) & set("▁▂▃▄▅▆▇█")
    assert plain.isprintable()


@given(st.floats(0, 1e15), st.floats(1, 1e15))
def test_a_size_is_readable(used: float, total: float) -> None:
    assert len(size_text(used, total)) < 30
    assert "e" not in size_text(used, total)
