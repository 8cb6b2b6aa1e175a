"""The file of samples, which is somebody else's: what it may hold, and what is never read out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.usage.samples import GPUS_LIMIT, LINES_LIMIT, Gpu, Sample, read_sample, read_samples

LINE = "t=10.5 cpu=0.25 memory=4/16 disk=5/50 network=7/8"
SAMPLE = Sample(
    time=10.5, cpu=0.25, memory=4, memory_total=16, disk=5, disk_total=50, received=7, sent=8, gpus=()
)


def line(time: float) -> str:
    return LINE.replace("10.5", f"{time:.1f}")


def test_a_sample_is_what_its_line_says() -> None:
    assert read_sample(LINE) == SAMPLE
    gpu = read_sample(f"{LINE} gpu=0.81,9000,15000,65.3,70")
    assert gpu
    assert gpu.gpus == (Gpu(utilisation=0.81, memory=9000, memory_total=15000, power=65.3, power_limit=70),)
    unknown = read_sample(f"{LINE} gpu=-,-,-,-,-")
    assert unknown
    assert unknown.gpus == (
        Gpu(utilisation=None, memory=None, memory_total=None, power=None, power_limit=None),
    )


def test_a_word_of_a_later_version_changes_nothing() -> None:
    assert read_sample(f"{LINE} tpu=1,2 later") == SAMPLE


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "t=10",
        LINE.replace("10.5", "-1"),
        LINE.replace("10.5", "1e9"),
        LINE.replace("10.5", "nan"),
        LINE.replace("10.5", "9" * 17),
        LINE.replace("10.5", "\u0661"),
        LINE.replace("0.25", "1.01"),
        LINE.replace("0.25", "inf"),
        LINE.replace("4/16", "17/16"),
        LINE.replace("4/16", "4"),
        LINE.replace("4/16", "4/16/1"),
        LINE.replace("7/8", "7.5/8"),
        LINE.replace("memory", "memo"),
        f"{LINE} gpu=0.8",
        f"{LINE} gpu=1.5,1,2,3,4",
        f"{LINE} gpu=0.5,1,2,\x1b[2J,4",
        LINE + " gpu=0,0,0,0,0" * (GPUS_LIMIT + 1),
        f"{LINE} {'x' * 3000}",
    ],
)
def test_a_line_of_another_form_is_no_sample(broken: str) -> None:
    assert read_sample(broken) is None


def test_samples_come_in_the_order_of_their_times_and_half_a_line_is_none() -> None:
    text = "\n".join([line(10), "garbage", line(20), line(20), line(15), line(30), "t=40 cpu=0.2 mem"])
    assert [sample.time for sample in read_samples(text)] == [10, 20, 30]


def test_a_file_without_end_is_read_to_a_bound() -> None:
    text = "\n".join(line(time) for time in range(LINES_LIMIT + 500))
    assert len(read_samples(text)) == LINES_LIMIT


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_whatever_stands_there_is_read_or_left_out(text: str) -> None:
    for sample in read_samples(f"{text}\n{LINE}\n{text}"):
        assert 0 <= sample.cpu <= 1
        assert sample.memory <= sample.memory_total


@given(st.lists(st.floats(0, 1e9, allow_nan=False), max_size=50))
def test_times_only_grow(times: list[float]) -> None:
    read = [sample.time for sample in read_samples("\n".join(line(time) for time in times))]
    assert read == sorted(set(read))
