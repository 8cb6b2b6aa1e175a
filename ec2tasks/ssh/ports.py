"""The ports of this machine that ssh -L forwards to the instance, checked before anything costs money."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Collection, Iterable

from ec2tasks.base.errors import UsageError

PORTS_TRIED = 100  # from the one that is wanted on
FORWARD = re.compile(
    r"(?:(?P<bind>[^:\[\]]*|\[[^\]]+\]):)?(?P<port>\d+):(?P<host>[^:\[\]]+|\[[^\]]+\]):(?P<there>\d+)"
)


def _parsed(forward: str) -> re.Match[str]:
    match = FORWARD.fullmatch(forward)
    assert match, forward  # the settings have checked its form
    return match


def destination(forward: str) -> tuple[str, int]:
    """The host and port that a forward leads to, as the other side knows them; its own is `localhost`."""
    match = _parsed(forward)
    host = match["host"].strip("[]")
    return {"127.0.0.1": "localhost", "::1": "localhost"}.get(host, host), int(match["there"])


def listen_address(forward: str) -> tuple[str, int]:
    """The address and port that a forward, `[BIND:]PORT:HOST:PORT`, listens on."""
    match = _parsed(forward)
    bind = (match["bind"] or "").strip("[]")
    return {"": "127.0.0.1", "*": "0.0.0.0", "localhost": "127.0.0.1"}.get(bind, bind), int(match["port"])  # noqa: S104  # what ssh means by `*`


def with_address(forward: str) -> str:
    """The forward with the address that it listens on, where ssh would take more than one for it.

    Of two addresses of `localhost` it is content with one; the other may be somebody else's.
    """
    match = _parsed(forward)
    if match["bind"] not in (None, "", "localhost"):
        return forward
    return f"{listen_address(forward)[0]}:{match['port']}:{match['host']}:{match['there']}"


def _elsewhere(forward: str) -> str:
    """The same forward on another port here."""
    match = _parsed(forward)
    bind = "" if match["bind"] is None else f"{match['bind']}:"
    return f"{bind}{int(match['port']) % 65535 + 1}:{match['host']}:{match['there']}"


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
                hint=f"-L {_elsewhere(forward)} takes another port here",
            ) from error


def is_free(forward: str) -> bool:
    """Whether the port of a forward can be opened here."""
    try:
        check_ports_free([forward])
    except UsageError:
        return False
    return True


def free_port(
    port: int, *, bind: str = "", taken: Collection[int] = (), free: Callable[[str], bool] = is_free
) -> int:
    """The port, or the next one that is free here and none of these. Raises UsageError for none."""
    last = min(port + PORTS_TRIED, 65536) - 1
    for one in range(port, last + 1):
        if one not in taken and free(f"{bind and f'{bind}:'}{one}:localhost:{port}"):
            return one
    raise UsageError(
        f"no port from {port} to {last} is free here", hint=f"-L PORT:localhost:{port} takes another one"
    )
