"""How long each phase of a run took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import field

from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.parsers import duration


@dataclass(kw_only=True)
class Timings:
    """How long each phase of a run took, for the line at its end."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Count the time spent inside under this name."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def line(self, cost: float | None) -> str:
        """The phases in words, and what they cost."""
        words = [f"{name} {duration(seconds)}" for name, seconds in self.seconds.items()]
        return " · ".join([*words, "cost not known" if cost is None else f"cost ≈ ${cost:.2f}"])
