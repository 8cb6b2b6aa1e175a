"""Waiting for a sign, never for some time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120.0  # seconds after which something that is waited for never comes
Answer = TypeVar("Answer")


def until(question: Callable[[], Answer | None], what: str) -> Answer:
    """The first answer that is true, asked again until it is; fail naming it where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)
    return answer
