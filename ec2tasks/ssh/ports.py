"""The ports of this machine that ssh -L forwards to the instance, checked before anything costs money."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable

from ec2tasks.base.errors import UsageError


def listen_address(forward: str) -> tuple[str, int]:
    """The local address and port that a forward, `[BIND:]PORT:HOST:PORT`, listens on."""
    match = re.fullmatch(
        r"(?:(?P<bind>[^:\[\]]*|\[[^\]]+\]):)?(?P<port>\d+):(?:[^:\[\]]+|\[[^\]]+\]):\d+", forward
    )
    assert match, forward  # the settings have checked its form
    bind = (match["bind"] or "").strip("[]")
    return {"": "127.0.0.1", "*": "0.0.0.0", "localhost": "127.0.0.1"}.get(bind, bind), int(match["port"])  # noqa: S104  # what ssh means by `*`


def check_ports_free(forwards: Iterable[str]) -> None:
    """Raise UsageError for the first forward whose port here is taken or not ours to take."""
    for forward in forwards:
        address, port = listen_address(forward)
        try:
            family, kind, proto, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, proto) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
        except OSError as error:
            busy = error.errno == errno.EADDRINUSE
            reason = "is in use" if busy else f"can't be opened: {error.strerror}"
            raise UsageError(
                f"port {port} on {address} {reason} (asked for by -L {forward})",
                hint=f"-L {port % 65535 + 1}:{':'.join(forward.split(':')[-2:])} takes another port here",
            ) from error
