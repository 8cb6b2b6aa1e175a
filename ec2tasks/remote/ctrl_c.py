"""What Ctrl-C means during a job: the first is for the command, the second leaves it running.

Where a terminal's keys are the command's own, two in a row with no other key in between leave it; where the
connection is down, one does, for nothing could be sent. A polite kill and a closed terminal leave it too.
"""

from __future__ import annotations

import signal

from ec2tasks.base.dataclass import dataclass

INTERRUPT_KEY = 0x03
INTERRUPTED, HUNG_UP = 128 + signal.SIGINT, 128 + signal.SIGHUP


class Detached(BaseException):  # no error: the user's way to leave a command running
    """The user, or what ends this process, leaves the command running; `code` is this client's exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def detach(code: int) -> None:
    """Leave the command running."""
    raise Detached(code)


@dataclass(kw_only=True)
class InterruptKeys:
    """Counts Ctrl-C among the keys: the second, with no other key in between, is not for the command."""

    armed: bool = False

    def upto_detach(self, keys: bytes) -> tuple[bytes, bool]:
        """The keys that are for the command, and whether the user wants to leave it."""
        for place, key in enumerate(keys):
            if key == INTERRUPT_KEY and self.armed:
                return keys[:place], True
            self.armed = key == INTERRUPT_KEY
        return keys, False
