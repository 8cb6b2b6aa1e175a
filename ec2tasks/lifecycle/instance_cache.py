"""An instance as this machine remembers it from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ec2tasks.aws.instances import Instance


def as_json(instance: Instance) -> dict[str, object]:
    """An instance as JSON can hold it, to be remembered."""
    stopped = instance.stopped.isoformat() if instance.stopped else None
    return {**asdict(instance), "launched": instance.launched.isoformat(), "stopped": stopped}


def from_json(values: Mapping[str, Any] | None) -> Instance:
    """A remembered instance. Raises KeyError, TypeError or ValueError for anything else."""
    values = dict(values or {})
    launched, stopped = datetime.fromisoformat(values.pop("launched")), values.pop("stopped", None)
    values["group_ids"] = tuple(values["group_ids"])
    return Instance(**values, launched=launched, stopped=datetime.fromisoformat(stopped) if stopped else None)
