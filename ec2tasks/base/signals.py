"""Signal handlers of the main thread for a while: Ctrl-C handled, put off until later, or ignored."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from ec2tasks.base.retry import ticks

LISTENING = 0.2  # seconds between looks whether Ctrl-C was pressed
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
def deferred() -> Iterator[Callable[[float], None]]:
    """While inside, put off Ctrl-C; raise KeyboardInterrupt at the end if there was one.

    For what must not be lost half way. Yields a `sleep` for the moments in between at which nothing would be
    lost: it raises KeyboardInterrupt where there was one, or is one.
    """
    pressed: list[None] = []

    def pause(seconds: float) -> None:
        for _ in ticks(every=min(LISTENING, seconds), limit=seconds):
            if pressed:
                raise KeyboardInterrupt

    with handled(INTERRUPTS, lambda: pressed.append(None)):
        yield pause
    if pressed:
        raise KeyboardInterrupt


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """While inside, ignore Ctrl-C, SIGTERM and SIGHUP: for what must not be left half done."""
    return handled(INTERRUPTS, lambda: None)
