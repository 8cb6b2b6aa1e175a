"""Runs for a moment in an instance's network namespace and hands sockets made there to the server.

A socket belongs for life to the namespace it was made in, so the server can listen and connect in an
instance without a process of its own in it. Arguments: the number of the channel's file descriptor,
how many unconnected sockets to make, the addresses (`ip:port`) to listen on; then, for the first call, the
name of the interface to the other instances, its address (`ip/mask`), and a second address where it has one.
That interface is a TUN device, whose descriptor is sent with the sockets; where it can't be made, the reason
is the message's text.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8913, 0x8914
SIOCSIFMTU, SIOCADDRT, TUNSETIFF = 0x8922, 0x890B, 0x400454CA
IFF_UP, IFF_TUN, IFF_NO_PI = 1, 0x1, 0x1000
RTF_UP, RTF_GATEWAY = 1, 2
MTU = 65520  # EC2 has 9001; each packet has the same price here, whatever its size
# The addresses that this machine reaches instances at: the private ones of those without a public one.
RELAYS, RELAYS_MASK = "127.77.0.0", "255.255.0.0"


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
        # No more than what programs know of: other addresses that begin with 127 are instances.
        fcntl.ioctl(probe, SIOCSIFNETMASK, interface_request("lo", RELAYS_MASK))
        for number, address in enumerate(sorted(addresses), 1):
            fcntl.ioctl(probe, SIOCSIFADDR, interface_request(f"lo:{number}", address))
            fcntl.ioctl(probe, SIOCSIFNETMASK, interface_request(f"lo:{number}", "255.255.255.255"))
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def route_request(target: str, mask: str, gateway: str) -> bytes:
    """A `struct rtentry` for that network by way of that address, on whatever interface it is."""
    ends = [
        struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(end)) for end in (target, gateway, mask)
    ]
    return struct.pack("L48sHhLPhPLLH", 0, b"".join(ends), RTF_UP | RTF_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)


def gateway_of(address: str, mask: str) -> str:
    """The first address of a network, which is its router's on EC2."""
    ip, bits = (int.from_bytes(socket.inet_aton(text), "big") for text in (address, mask))
    return socket.inet_ntoa(((ip & bits) + 1).to_bytes(4, "big"))


def device(name: str, address: str, mask: str, *, second: str | None) -> int:
    """A TUN device of that name, up, with that address: its file descriptor."""
    made = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    conf = Path("/proc/sys/net/ipv4/conf", name)
    (conf / "route_localnet").write_text("1")
    ipv6 = Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFMTU, struct.pack("16si20x", name.encode(), MTU))
        fcntl.ioctl(probe, SIOCSIFADDR, interface_request(name, address))
        fcntl.ioctl(probe, SIOCSIFNETMASK, interface_request(name, mask))
        bring_up(name, probe)
        if second is not None:  # not on the interface, whose first address programs take for their own
            fcntl.ioctl(probe, SIOCSIFADDR, interface_request("lo:second", second))
            fcntl.ioctl(probe, SIOCSIFNETMASK, interface_request("lo:second", "255.255.255.255"))
        fcntl.ioctl(probe, SIOCADDRT, route_request(RELAYS, RELAYS_MASK, gateway_of(address, mask)))
    return made


def listener(ip: str, port: int) -> socket.socket:
    """A socket that listens there."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((ip, port))
    sock.listen(128)
    return sock


def main(channel_fd: int, spare: int, words: list[str]) -> None:
    """Listen at the places, make the spare sockets and the device, send all of them."""
    places = [word.rsplit(":", 1) for word in words if ":" in word]
    name, *own = [word for word in words if ":" not in word] or [""]
    if places:
        prepare({ip for ip, _ in places})
    made = [listener(ip, int(port)) for ip, port in places] + [socket.socket() for _ in range(spare)]
    sent, said = [sock.fileno() for sock in made], "."
    if name:
        try:
            address, mask = own[0].split("/")
            sent.append(device(name, address, mask, second=own[1] if own[1:] else None))
        except OSError as error:
            said = f"{error.filename or 'TUN device'}: {error.strerror}"
    with socket.socket(fileno=channel_fd) as channel:
        socket.send_fds(channel, [said.encode()], sent)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
