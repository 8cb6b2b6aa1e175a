"""The switch between the instances: `python -m ec2tasks.local.switch CHANNEL_FD USER_ID`.

Each instance's interface is a TUN device in its network namespace; the descriptors come here, and packets
are read from one and written to another (https://docs.kernel.org/networking/tuntap.html). What it does with
a packet is `firewall`'s to say. It reads what instances send, so it gives up what it can of this machine: it
is started in a network namespace with nothing in it, and runs as nobody's user.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import socket
import sys
from dataclasses import dataclass, field

from ec2tasks.local.firewall import Host, Network, target_of

MAX_PACKET = 65536
MAX_MESSAGE = 256 * 1024
PACKETS_A_TURN = 64


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the server tells: an instance that is there, with its device where that is new; or one gone."""

    host: Host | None = None
    gone: str = ""


def change_bytes(change: Change) -> bytes:
    """A change as one message of the channel."""
    return pickle.dumps(change)


@dataclass(kw_only=True)
class Switch:
    """The devices by instance, and what goes from one to another."""

    network: Network = field(default_factory=Network)
    _devices: dict[str, int] = field(default_factory=dict)
    _poller: select.epoll = field(default_factory=select.epoll)

    def run(self, channel: socket.socket) -> None:
        """Forward until the server closes the channel, or ends."""
        self._poller.register(channel, select.EPOLLIN)
        while True:
            for descriptor, _ in self._poller.poll():
                if descriptor != channel.fileno():
                    self._forward_from(descriptor)
                elif not self._take_change(channel):
                    return

    def _take_change(self, channel: socket.socket) -> bool:
        message, devices, _, _ = socket.recv_fds(channel, MAX_MESSAGE, 1)
        if not message:
            return False
        change: Change = pickle.loads(message)  # noqa: S301  # the server's, which started this process
        if change.host is None:
            self._drop(change.gone)
            return True
        self.network.put(change.host)
        for device in devices:
            self._devices[change.host.id] = device
            os.set_blocking(device, False)
            self._poller.register(device, select.EPOLLIN)
        return True

    def _drop(self, host_id: str) -> None:
        self.network.remove(host_id)
        device = self._devices.pop(host_id, None)
        if device is not None:
            os.close(device)

    def _forward_from(self, device: int) -> None:
        source = next((name for name, own in self._devices.items() if own == device), None)
        if source is None:
            return  # dropped in this very turn
        for _ in range(PACKETS_A_TURN):
            try:
                packet = os.read(device, MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                self._drop(source)  # its network has gone, and the device with it
                return
            target = target_of(packet, self.network.hosts[source], self.network)
            if target is not None:
                # A queue that is full, or an interface that is down: lost, as on any network.
                with contextlib.suppress(OSError):
                    os.write(self._devices[target.id], packet)


def give_up_rights(user_id: int) -> None:
    """Become that user for good, with no groups, and open no files from now on."""
    if user_id and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user_id, user_id, user_id)
        os.setresuid(user_id, user_id, user_id)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def main(channel_fd: int, user_id: int) -> int:
    """Run until the server has gone."""
    give_up_rights(user_id)
    with socket.socket(fileno=channel_fd) as channel:
        Switch().run(channel)
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(number) for number in sys.argv[1:])))
