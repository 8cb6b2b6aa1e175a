"""The samples that the instance takes of a job's use of its machine, read as somebody else's words.

The file has a line for each, by the forms of `remote/sampler.sh`, all numbers without a sign or an exponent:

    t=SECONDS cpu=SHARE memory=USED/TOTAL disk=USED/TOTAL network=IN/OUT [gpu=SHARE,USED,TOTAL,WATT,WATT]…

Times are in seconds since the job began, shares between 0 and 1, sizes in bytes; of a GPU, what its driver
does not tell is `-`. Words of other names are a later version's. A line that is not so, or not later than the
one before, counts as none: a sample is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LINE_LIMIT = 2048  # characters: sixteen GPUs take half of that
LINES_LIMIT = 5000  # the instance keeps 4,000
FILE_LIMIT = 4 * 1024 * 1024  # bytes
GPUS_LIMIT = 32
NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,6})?")
WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What one GPU did: `utilisation` is the share of the time in which a kernel ran on it, from 0 to 1.

    `memory`, `memory_total` are bytes, `power`, `power_limit` watts; None is what its driver does not tell.
    """

    utilisation: float | None
    memory: int | None
    memory_total: int | None
    power: float | None
    power_limit: float | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The machine's use at one moment, `time` seconds after the job began.

    `cpu` is the share, from 0 to 1, of all its cores since the sample before; `memory`, `disk` and their
    totals are bytes, the disk that of the project's files; `received`, `sent` bytes since the job began.
    """

    time: float
    cpu: float
    memory: int
    memory_total: int
    disk: int
    disk_total: int
    received: int
    sent: int
    gpus: tuple[Gpu, ...] = ()


def read_samples(text: str) -> tuple[Sample, ...]:
    """The samples in such a file, in the order of their times; lines of any other form are left out."""
    return tuple(sample for _, sample in _in_order(text))


def sample_lines(text: str) -> str:
    """The lines of such a file that are samples, and nothing else of what stands there."""
    return "".join(f"{line}\n" for line, _ in _in_order(text))


def _in_order(text: str) -> Iterator[tuple[str, Sample]]:
    last = -1.0
    for line in text[:FILE_LIMIT].split("\n")[:LINES_LIMIT]:
        sample = read_sample(line)
        if sample and sample.time > last:
            last = sample.time
            yield line, sample


def read_sample(line: str) -> Sample | None:
    """The sample in a line; None where it is none."""
    if len(line) > LINE_LIMIT:
        return None
    words = [word.partition("=") for word in line.split(" ")]
    gpus = [value for name, _, value in words if name == "gpu"]
    values = {name: value for name, _, value in words}
    try:
        memory, memory_total = _pair(values["memory"])
        disk, disk_total = _pair(values["disk"])
        received, sent = _whole_numbers(values["network"])
        return Sample(
            time=_number(values["t"]),
            cpu=_share(values["cpu"]),
            memory=memory,
            memory_total=memory_total,
            disk=disk,
            disk_total=disk_total,
            received=received,
            sent=sent,
            gpus=tuple(_gpu(value) for value in _few(gpus)),
        )
    except (KeyError, ValueError):
        return None


def _few(gpus: list[str]) -> list[str]:
    if len(gpus) > GPUS_LIMIT:
        raise ValueError(f"{len(gpus)} GPUs")
    return gpus


def _gpu(value: str) -> Gpu:
    utilisation, memory, total, power, limit = value.split(",")
    return Gpu(
        utilisation=None if utilisation == "-" else _share(utilisation),
        memory=None if memory == "-" else _whole(memory),
        memory_total=None if total == "-" else _whole(total),
        power=None if power == "-" else _number(power),
        power_limit=None if limit == "-" else _number(limit),
    )


def _number(text: str) -> float:
    if not NUMBER.fullmatch(text):
        raise ValueError(f"no number: {text!r}")
    return float(text)


def _share(text: str) -> float:
    share = _number(text)
    if share > 1:
        raise ValueError(f"more than all: {text!r}")
    return share


def _whole(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise ValueError(f"no number of bytes: {text!r}")
    return int(text)


def _whole_numbers(text: str) -> tuple[int, int]:
    first, second = text.split("/")
    return _whole(first), _whole(second)


def _pair(text: str) -> tuple[int, int]:
    """How much of how much; never more than all of it."""
    used, total = _whole_numbers(text)
    if used > total:
        raise ValueError(f"more than all: {text!r}")
    return used, total
