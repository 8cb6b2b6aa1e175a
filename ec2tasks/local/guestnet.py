"""An instance's network: its namespace's way out, and sockets that live in it.

The namespace is made first and everything else joins it, because slirp4netns can't enter one that the
sandbox made. The server reaches an instance through sockets made inside it (see guest/netsetup.py), so
SSH runs at loopback speed and not through slirp4netns.
"""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

METADATA = ("169.254.169.254", 80)
API = ("169.254.169.254", 4566)
SPARE_SOCKETS = 32
HELPER_SECONDS = 20

Spawn = Callable[..., "subprocess.Popen[bytes]"]


def enter_argv(pid: int, uid: int) -> list[str]:
    """What to put before a command so that it runs in the network of that process."""
    user = [] if uid == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={pid}", *user, "--net", "--"]


def slirp_argv(pid: int, ready_fd: int, exit_fd: int) -> list[str]:
    """slirp4netns as the way out of that process's network, ending when the other end of exit_fd closes."""
    # It reads what an instance sends, so it gives up all it can of this machine first.
    flags = ["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox"]
    return ["slirp4netns", *flags, f"--ready-fd={ready_fd}", f"--exit-fd={exit_fd}", str(pid), "tap0"]


def helper_argv(script: Path, channel_fd: int, spare: int, places: list[tuple[str, int]]) -> list[str]:
    """The helper that makes sockets and sends them over that file descriptor."""
    where = [f"{ip}:{port}" for ip, port in places]
    return [sys.executable, "-I", "-S", str(script), str(channel_fd), str(spare), *where]


def receive_sockets(channel: socket.socket, count: int) -> list[socket.socket]:
    """That many sockets from the helper; fewer is an OSError."""
    fds = array.array("i")
    message, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(count * fds.itemsize))
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    sockets = [socket.socket(fileno=fd) for fd in fds]
    if not message or len(sockets) != count:
        for sock in sockets:
            sock.close()
        raise OSError(f"the instance's network gave {len(sockets)} sockets of {count}")
    return sockets


class GuestNet:
    """The network of the process `pid`, from outside."""

    def __init__(self, pid: int, *, script: Path, spawn: Spawn, uid: int) -> None:
        self._pid = pid
        self._script = script
        self._spawn = spawn
        self._uid = uid
        self._lock = threading.Lock()
        self._spare: list[socket.socket] = []
        self._slirp: subprocess.Popen[bytes] | None = None
        self._exit_fd: int | None = None

    def open(self) -> tuple[socket.socket, socket.socket]:
        """Bring the network up; return the listeners for the metadata service and for the AWS API."""
        ready = self._start_slirp()
        try:
            metadata, api, *self._spare = self._make_sockets([METADATA, API])
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

    def _make_sockets(self, places: list[tuple[str, int]]) -> list[socket.socket]:
        channel, helper_end = socket.socketpair()
        with channel:
            with helper_end:
                argv = helper_argv(self._script, helper_end.fileno(), SPARE_SOCKETS, places)
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
                self._spare = self._make_sockets([])
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
