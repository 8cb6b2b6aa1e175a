"""Says what is waited for: on a terminal in one line with the seconds, elsewhere once it has taken some."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from ec2tasks.base import output
from ec2tasks.base.process import start_thread

WORTH_A_WORD = 3.0  # seconds
RENEWED = 1.0  # seconds between two looks of the line on a terminal


@contextlib.contextmanager
def waiting(what: str, *, worth_a_word: float = WORTH_A_WORD, renewed: float = RENEWED) -> Iterator[None]:
    """Say while inside that this is waited for, once it has taken a few seconds; at the end, for how long."""
    over, began = threading.Event(), time.monotonic()

    def seconds() -> float:
        return time.monotonic() - began

    def tell() -> None:
        if over.wait(worth_a_word):
            return
        if not output.passing(f"waiting for {what}: {seconds():.0f} s"):
            output.step(f"waiting for {what}")
            return
        while not over.wait(renewed):
            output.passing(f"waiting for {what}: {seconds():.0f} s")

    telling = start_thread(tell)
    try:
        yield
    finally:
        over.set()
        telling.join()
        output.passing("")
    if seconds() >= worth_a_word:
        output.step(f"waited {seconds():.0f} s for {what}")
