"""At most one thing to say of a job, by what was measured of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.usage.advice import FROM, Machine, advise
from ec2tasks.usage.line import GIB
from ec2tasks.usage.samples import Gpu, Sample
from ec2tasks.usage.summary import Summary, summed_up

PRICES = {"g4dn.xlarge": 0.66, "g4dn.2xlarge": 0.94, "g6.xlarge": 1.01, "m7i.xlarge": 0.24}


def used(*, cpu: float = 0.6, memory: float = 8.0, disk: float = 30.0, gpus: tuple[Gpu, ...] = ()) -> Summary:
    sample = Sample(
        time=600,
        cpu=cpu,
        memory=int(memory * GIB),
        memory_total=16 * GIB,
        disk=int(disk * GIB),
        disk_total=100 * GIB,
        received=0,
        sent=0,
        gpus=gpus,
    )
    made = summed_up([sample])
    assert made
    return made


def gpu(utilisation: float | None, memory: float = 3.0) -> Gpu:
    return Gpu(
        utilisation=utilisation,
        memory=int(memory * GIB),
        memory_total=15 * GIB,
        power=None,
        power_limit=None,
    )


BUSY = (gpu(0.9),)
CASES = [
    ("g4dn.xlarge", used(gpus=BUSY), None),
    ("g4dn.xlarge", used(gpus=(gpu(None),)), None),
    (
        "g4dn.xlarge",
        used(memory=15, gpus=BUSY),
        "memory reached 15 of 16 GB: `--type g4dn.2xlarge` ($0.94 an hour, this one $0.66) has more",
    ),
    ("r9x.huge", used(memory=15), "memory reached 15 of 16 GB: a larger --type has more"),
    (
        "g4dn.xlarge",
        used(disk=95, gpus=BUSY),
        "the disk reached 95 of 100 GB: --disk-gb launches with more",
    ),
    (
        "g4dn.xlarge",
        used(gpus=(gpu(0.9, 14.6),)),
        "gpu memory reached 15 of 15 GB: `--type g6.xlarge` ($1.01 an hour, this one $0.66) has more,"
        " a smaller batch takes less",
    ),
    (
        "g4dn.xlarge",
        used(gpus=(gpu(0.0),)),
        "no GPU was used: `--type m7i.xlarge` ($0.24 an hour, this one $0.66) may do as well",
    ),
    ("p4d.24xlarge", used(gpus=(gpu(0.0), gpu(0.0))), "no GPU was used: a --type without one may do as well"),
    ("p4d.24xlarge", used(gpus=(gpu(0.0), gpu(0.8))), None),
    (
        "g4dn.xlarge",
        used(cpu=0.97, gpus=(gpu(0.3),)),
        "the GPU ran 30 % of the time, the processors 97 %: it may wait for them;"
        " `--type g4dn.2xlarge` ($0.94 an hour, this one $0.66) has more of them",
    ),
    (
        "g4dn.2xlarge",
        used(cpu=0.2, memory=5, gpus=BUSY),
        "`--type g4dn.xlarge` ($0.66 an hour, this one $0.94) may hold it: at most 20 % cpu,"
        " memory 5 of 16 GB",
    ),
    (
        "m7i.xlarge",
        used(cpu=0.2, memory=5),
        "`--type m7i.large` may hold it: at most 20 % cpu, memory 5 of 16 GB",
    ),
    ("g4dn.xlarge", used(cpu=0.2, memory=5, gpus=BUSY), None),  # the smallest
    ("g5.12xlarge", used(cpu=0.2, memory=5, gpus=(gpu(0.9), gpu(0.9))), None),
]


@pytest.mark.parametrize(("name", "summary", "said"), CASES)
def test_what_is_said_of_a_job(name: str, summary: Summary, said: str | None) -> None:
    machine = Machine(type=name, prices=PRICES)
    assert advise(summary, machine, seconds=FROM) == said
    assert advise(summary, machine, seconds=FROM - 1) is None


SHARES = st.floats(0, 1)


@given(
    st.sampled_from(["g4dn.xlarge", "g6.16xlarge", "m7i.large", "x", "a.b"]),
    SHARES,
    SHARES,
    SHARES,
    st.lists(st.none() | SHARES, max_size=3),
)
def test_it_is_one_line_whatever_was_measured(
    name: str, cpu: float, memory: float, disk: float, gpus: list[float | None]
) -> None:
    summary = used(cpu=cpu, memory=memory * 16, disk=disk * 100, gpus=tuple(map(gpu, gpus)))
    said = advise(summary, Machine(type=name, prices={}), seconds=FROM)
    assert said is None or (said.isprintable() and len(said) < 200)
