"""Signal handlers of the main thread for a while: Ctrl-C handled, put off until later, or ignored."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def handled(signals: Sequence[signal.Signals], act: Callable[[], None]) -> Iterator[None]:
    """While inside, call `act` at each of these signals; then as before. Main thread only."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        act()

    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """While inside, put off Ctrl-C; raise KeyboardInterrupt at the end if there was one.

    For what must not be lost half way.
    """
    pressed: list[None] = []
    with handled(INTERRUPTS, lambda: pressed.append(None)):
        yield
    if pressed:
        raise KeyboardInterrupt


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """While inside, ignore Ctrl-C, SIGTERM and SIGHUP: for what must not be left half done."""
    return handled(INTERRUPTS, lambda: None)
