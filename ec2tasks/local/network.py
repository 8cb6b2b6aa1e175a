"""The network between the instances, as the server holds it: who is on it, told to the switch as it changes.

The switch is started by the second instance: one alone has nobody to reach.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.local.firewall import Host
from ec2tasks.local.requirements import GUEST_ID
from ec2tasks.local.rootfs import hosts_text
from ec2tasks.local.switch import Change, change_bytes

END_SECONDS = 2

Spawn = Callable[..., "subprocess.Popen[bytes]"]


def switch_argv(channel_fd: int, uid: int) -> list[str]:
    """The switch, in a network of its own that has nothing in it."""
    user = [] if uid == 0 else ["--user", "--map-root-user"]
    # As another user, where that is possible: mapped, there is none to become.
    becomes = GUEST_ID if uid == 0 else 0
    run = [sys.executable, "-m", "ec2tasks.local.switch", f"{channel_fd}", f"{becomes}"]
    return ["unshare", *user, "--net", "--", *run]


def changes(told: Mapping[str, Host], hosts: Iterable[Host]) -> list[Change]:
    """What to tell a switch that was told that, so that it knows these."""
    wanted = {host.id: host for host in hosts}
    gone = [Change(gone=name) for name in told if name not in wanted]
    return gone + [Change(host=host) for host in wanted.values() if told.get(host.id) != host]


def names_of(host: Host, hosts: Iterable[Host]) -> dict[str, str]:
    """The instances that this one knows by name, with their private addresses: itself, then its network's."""
    others = {other.name: other.addresses[0] for other in hosts if other.vpc == host.vpc}
    return {host.name: host.addresses[0], **others}


def write_in_place(path: Path, text: str) -> None:
    """Write a file that is mounted in an instance, which would not see another one put in its place."""
    with path.open("r+", encoding="utf-8") as file:
        file.write(text)
        file.truncate()


@dataclass(kw_only=True)
class Wire:
    """The instances' devices, their files of names, and the switch. Called under the fleet's lock."""

    spawn: Spawn
    uid: int
    _devices: dict[str, int] = field(default_factory=dict)
    _name_files: dict[str, tuple[Path, str]] = field(default_factory=dict)
    _told: dict[str, Host] = field(default_factory=dict)
    _channel: socket.socket | None = None
    _switch: subprocess.Popen[bytes] | None = None

    @property
    def members(self) -> Collection[str]:
        """The ids of the instances that are here."""
        return self._devices.keys()

    def join(self, instance_id: str, device: int, names: Path) -> None:
        """Take in an instance that boots: its device and its /etc/hosts. `follow` tells the others."""
        self._devices[instance_id] = device
        self._name_files[instance_id] = (names, "")

    def leave(self, instance_id: str) -> None:
        """Let go of an instance that ends, if it is there."""
        device = self._devices.pop(instance_id, None)
        self._name_files.pop(instance_id, None)
        if device is not None:
            os.close(device)
        if self._told.pop(instance_id, None) is not None:
            self._tell(Change(gone=instance_id))

    def follow(self, here: list[Host]) -> None:
        """Have the switch and the instances know all that are here. A dead switch is started again."""
        self._write_names(here)
        if self._switch is not None and self._switch.poll() is not None:
            self._close_switch()
        if self._switch is None and len(here) < 2:
            return
        for change in changes(self._told, here):
            self._tell(change)

    def _write_names(self, here: list[Host]) -> None:
        for host in here:
            path, before = self._name_files[host.id]
            text = hosts_text(names_of(host, here))
            if text != before:
                write_in_place(path, text)
                self._name_files[host.id] = (path, text)

    def _tell(self, change: Change) -> None:
        channel = self._channel or self._start()
        name = change.gone if change.host is None else change.host.id
        new = change.host is not None and name not in self._told
        try:
            socket.send_fds(channel, [change_bytes(change)], [self._devices[name]] if new else [])
        except OSError:
            self._close_switch()  # it has died, or hangs: the next one is told all
            return
        if change.host is not None:
            self._told[name] = change.host
        else:
            self._told.pop(name, None)

    def _start(self) -> socket.socket:
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(END_SECONDS)
        with other:
            argv = switch_argv(other.fileno(), self.uid)
            self._switch = self.spawn(argv, pass_fds=(other.fileno(),), stdin=subprocess.DEVNULL, cwd="/")
        return self._channel

    def _close_switch(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._switch is not None:
            try:
                self._switch.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._switch.kill()
                self._switch.wait()
            self._switch = None
        self._told = {}

    def close(self) -> None:
        """Let go of all, and end the switch."""
        self._close_switch()
        for instance_id in list(self._devices):
            self.leave(instance_id)
