"""Runs for a moment in an instance's network namespace and hands sockets made there to the server.

A socket belongs for life to the namespace it was made in, so the server can listen and connect in an
instance without a process of its own in it. Arguments: the number of the channel's file descriptor,
how many unconnected sockets to make, then the addresses (`ip:port`) to listen on.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from pathlib import Path

SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8913, 0x8914
IFF_UP = 1


def interface_request(name: str, address: str) -> bytes:
    """A `struct ifreq` with an IPv4 address."""
    return struct.pack("16sHH4s8x8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def bring_up(name: str, probe: socket.socket) -> None:
    """What `ip link set NAME up` does."""
    answer = fcntl.ioctl(probe, SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
    flags = struct.unpack("16sH22x", answer)[1] | IFF_UP
    fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags))


def prepare(addresses: set[str]) -> None:
    """Loopback up, with these addresses on it, and low ports free for the login user."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        bring_up("lo", probe)
        for number, address in enumerate(sorted(addresses), 1):
            fcntl.ioctl(probe, SIOCSIFADDR, interface_request(f"lo:{number}", address))
            fcntl.ioctl(probe, SIOCSIFNETMASK, interface_request(f"lo:{number}", "255.255.255.255"))
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def listener(ip: str, port: int) -> socket.socket:
    """A socket that listens there."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((ip, port))
    sock.listen(128)
    return sock


def main(channel_fd: int, spare: int, places: list[str]) -> None:
    """Listen at the places, make the spare sockets, send all of them."""
    split = [place.rsplit(":", 1) for place in places]
    if split:
        prepare({ip for ip, _ in split})
    made = [listener(ip, int(port)) for ip, port in split] + [socket.socket() for _ in range(spare)]
    with socket.socket(fileno=channel_fd) as channel:
        socket.send_fds(channel, [b"."], [sock.fileno() for sock in made])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
