"""Who opened a connection: this machine's loopback is open to all its users, and the kernel knows which.

https://docs.kernel.org/networking/proc_net_tcp.html
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

TABLE = Path("/proc/net/tcp")


def user_of(connection: socket.socket, table: Path = TABLE) -> int | None:
    """The uid of whoever opened the other end of an accepted IPv4 connection; None where that end is gone.

    A socket that its process has closed belongs to nobody, which the kernel writes as uid 0 and inode 0.
    """
    try:
        ends = f"{_written(connection.getpeername())} {_written(connection.getsockname())}"
    except OSError:
        return None
    for line in table.read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, uid, _, inode, *_ = line.split()
        if f"{local} {remote}" == ends and inode != "0":
            return int(uid)
    return None


def _written(address: tuple[str, int]) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


def is_own(connection: socket.socket) -> bool:
    """Whether this user, or root, opened the connection."""
    return user_of(connection) in (os.geteuid(), 0)


def is_others(connection: socket.socket) -> bool:
    """Whether the kernel knows that another user opened the connection; root is none."""
    try:
        user = user_of(connection)
    except OSError:
        return False  # a kernel that tells nobody
    return user not in (os.geteuid(), 0, None)
