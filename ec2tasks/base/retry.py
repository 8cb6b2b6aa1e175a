"""Waiting and trying again: what every poll and retry loop of ec2tasks is made of.

Our own few lines, as the well-kept library for it, tenacity, would cost every start 21 ms.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Result = TypeVar("Result")


def ticks(
    *,
    every: float,
    limit: float = math.inf,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[float]:
    """Poll: yield at once, then `every` so many seconds, as long as `limit` seconds are not over.

    Each time the seconds since the first. The loop breaks off or returns when it has its answer; where it
    runs out, there was none in time. It never sleeps beyond the limit.
    """
    began = clock()
    while True:
        yield clock() - began
        if clock() - began + every > limit:
            return
        sleep(every)


def retry(
    action: Callable[[], Result],
    *,
    on: Callable[[Exception], bool],
    pauses: Iterable[float],
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """The result of an action, tried again after an error that `on` says may pass.

    Before each further try one of the `pauses`, in seconds. Raises the error of the last try.
    """
    for pause in pauses:
        try:
            return action()
        except Exception as error:
            if not on(error):
                raise
        sleep(pause)
    return action()
