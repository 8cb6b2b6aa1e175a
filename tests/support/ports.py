"""Ports of this machine."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """A port that nobody listens on here now, below those that connections are given by themselves."""
    while True:
        port = random.randint(20000, 30000)  # noqa: S311  # no secret
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
