"""An instance's network: its namespace's way out, its interface to the others, and sockets that live in it.

The namespace is made first and everything else joins it, because slirp4netns can't enter one that the
sandbox made. The server reaches an instance through sockets made inside it (see guest/netsetup.py), so
SSH runs at loopback speed and not through slirp4netns.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

METADATA = ("169.254.169.254", 80)
API = ("169.254.169.254", 4566)
# slirp4netns's own network, where no VPC is: the range for benchmarks of routers (RFC 2544).
OUTSIDE = "198.18.0.0/24"
NAME_SERVER = "198.18.0.3"
INTERFACE = "ens5"
SPARE_SOCKETS = 32
MAX_REASON = 4096
HELPER_SECONDS = 20

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """An instance's interface to the others: its address, its network's mask, and a second address if any."""

    address: str
    mask: str
    second: str | None = None


def enter_argv(pid: int, uid: int) -> list[str]:
    """What to put before a command so that it runs in the network of that process."""
    user = [] if uid == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={pid}", *user, "--net", "--"]


def slirp_argv(pid: int, ready_fd: int, exit_fd: int) -> list[str]:
    """slirp4netns as the way out of that process's network, ending when the other end of exit_fd closes."""
    # It reads what an instance sends, so it gives up all it can of this machine first.
    flags = ["--configure", f"--cidr={OUTSIDE}", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox"]
    return ["slirp4netns", *flags, f"--ready-fd={ready_fd}", f"--exit-fd={exit_fd}", str(pid), "tap0"]


def helper_argv(
    script: Path, channel_fd: int, spare: int, places: list[tuple[str, int]], interface: Interface | None
) -> list[str]:
    """The helper that makes sockets, and an interface's device, and sends them over that channel."""
    where = [f"{ip}:{port}" for ip, port in places]
    if interface is not None:
        where += [INTERFACE, f"{interface.address}/{interface.mask}"]
        where += [interface.second] if interface.second else []
    return [sys.executable, "-I", "-S", str(script), str(channel_fd), str(spare), *where]


def receive_sockets(channel: socket.socket, count: int) -> tuple[list[socket.socket], int | str]:
    """That many sockets from the helper, fewer being an OSError; then the device, or why there is none."""
    message, fds, _, _ = socket.recv_fds(channel, MAX_REASON, count + 1)
    if len(fds) < count:
        for fd in fds:
            os.close(fd)
        raise OSError(f"the instance's network gave {len(fds)} sockets of {count}")
    reason = message.decode(errors="replace").strip()
    return [socket.socket(fileno=fd) for fd in fds[:count]], fds[count] if len(fds) > count else reason


class GuestNet:
    """The network of the process `pid`, from outside."""

    def __init__(self, pid: int, *, script: Path, spawn: Spawn, uid: int) -> None:
        self._pid = pid
        self._script = script
        self._spawn = spawn
        self._uid = uid
        self._lock = threading.Lock()
        self._spare: list[socket.socket] = []
        self.device: int | str = ""
        self._slirp: subprocess.Popen[bytes] | None = None
        self._exit_fd: int | None = None

    def open(self, interface: Interface | None) -> tuple[socket.socket, socket.socket]:
        """Bring the network up; return the listeners for the metadata service and for the AWS API.

        `device` is then the other end of the interface, the caller's to close, or why there is none.
        """
        ready = self._start_slirp()
        try:
            (metadata, api, *self._spare), self.device = self._make_sockets([METADATA, API], interface)
            os.read(ready, 1)
        finally:
            os.close(ready)
        return metadata, api

    def _start_slirp(self) -> int:
        ready_read, ready_write = os.pipe()
        exit_read, self._exit_fd = os.pipe()
        try:
            self._slirp = self._spawn(
                slirp_argv(self._pid, ready_write, exit_read),
                pass_fds=(ready_write, exit_read),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(ready_write)
            os.close(exit_read)
        return ready_read

    def _make_sockets(
        self, places: list[tuple[str, int]], interface: Interface | None
    ) -> tuple[list[socket.socket], int | str]:
        channel, helper_end = socket.socketpair()
        with channel:
            with helper_end:
                argv = helper_argv(self._script, helper_end.fileno(), SPARE_SOCKETS, places, interface)
                helper = self._spawn(
                    [*enter_argv(self._pid, self._uid), *argv], pass_fds=(helper_end.fileno(),), cwd="/"
                )
            channel.settimeout(HELPER_SECONDS)
            try:
                return receive_sockets(channel, len(places) + SPARE_SOCKETS)
            finally:
                helper.wait(HELPER_SECONDS)

    def spare(self) -> socket.socket:
        """An unconnected TCP socket of the instance."""
        with self._lock:
            if not self._spare:
                self._spare, _ = self._make_sockets([], None)
            return self._spare.pop()

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of the instance's own loopback; ConnectionError if nothing listens."""
        sock = self.spare()
        try:
            sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self) -> None:
        """End slirp4netns and let go of the sockets."""
        if self._exit_fd is not None:
            os.close(self._exit_fd)
            self._exit_fd = None
        if self._slirp is not None:
            try:
                self._slirp.wait(2)
            except subprocess.TimeoutExpired:
                self._slirp.kill()
                self._slirp.wait()
            self._slirp = None
        with self._lock:
            for sock in self._spare:
                sock.close()
            self._spare = []
