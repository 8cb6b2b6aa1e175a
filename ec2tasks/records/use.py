"""What a job used of its machine: its samples summed up, and as the ledger keeps that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ec2tasks.usage.samples import read_samples
from ec2tasks.usage.summary import Summary, summed_up


def summary_of(samples: bytes) -> Summary | None:
    """What the samples of a job come to; None where there are none."""
    return summed_up(read_samples(samples.decode("ascii", errors="replace")))


def use_values(use: Summary | None) -> dict[str, object] | None:
    """What the ledger keeps of a job's use of its machine: means and peaks, without the curves."""
    return without_points(asdict(use)) if use else None


def without_points(values: Mapping[str, object]) -> dict[str, object]:
    """The same without what is not known, and of each curve its mean and its peak."""
    kept_values: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            kept_values[name] = without_points(value)
        elif isinstance(value, tuple) and name != "points":
            kept_values[name] = [without_points(each) for each in value]
        elif name != "points" and value is not None:
            kept_values[name] = value
    return kept_values
