"""Says what is waited for: on a terminal in one line with the seconds, elsewhere once it has taken some."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.base.process import start_thread

if TYPE_CHECKING:
    from ec2tasks.base.waits import Usual

WORTH_A_WORD = 3.0  # seconds
RENEWED = 1.0  # seconds between two looks of the line on a terminal


@contextlib.contextmanager
def waiting(
    what: str,
    *,
    usual: Usual | None = None,
    worth_a_word: float = WORTH_A_WORD,
    renewed: float = RENEWED,
) -> Iterator[None]:
    """Say while inside that this is waited for, once it has taken a few seconds; at the end, for how long.

    `usual` knows how long that took the last times, which is said with it, and learns how long it took now.
    """
    over, began = threading.Event(), time.monotonic()

    def seconds() -> float:
        return time.monotonic() - began

    def tell() -> None:
        if over.wait(worth_a_word):
            return
        usually = usual.words() if usual else ""
        # The seconds come first: what a narrow terminal cuts off stands behind them.
        if not output.passing(f"waiting {seconds():.0f} s{usually} for {what}"):
            output.step(f"waiting for {what}{usually}")
            return
        while not over.wait(renewed):
            output.passing(f"waiting {seconds():.0f} s{usually} for {what}")

    telling = start_thread(tell)
    try:
        yield
    finally:
        over.set()
        telling.join()
        output.passing("")
    if seconds() >= worth_a_word:
        output.step(f"waited {seconds():.0f} s for {what}")
        if usual:
            usual.add(seconds())
