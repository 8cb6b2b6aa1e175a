"""The network between this machine and an instance's sshd: where latency, cuts and drops happen.

An address is bound for as long as the instance has it, but listens only while sshd answers, so that
connecting earlier is refused by the kernel as on AWS.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from ec2tasks.local.faults import FaultFile

BLOCK = 256 * 1024
DELAYED_BLOCKS = 256
BACKLOG = 128
CUT_LOOK_SECONDS = 0.2
RESET = struct.pack("ii", 1, 0)


def addresses(start: int | None = None) -> Iterator[str]:
    """Loopback addresses in 127.77.0.0/16, from a random one on, each once before the first comes again."""
    first = random.randrange(2**16) if start is None else start  # noqa: S311  # not a secret
    for number in range(2**16):
        high, low = divmod((first + number) % 2**16, 256)
        if 0 < low < 255:
            yield f"127.77.{high}.{low}"


def bind_free_address(pool: Iterator[str], port: int) -> tuple[str, socket.socket]:
    """The next address of the pool that nobody on this machine has, bound but not listening."""
    for address in pool:
        sock = socket.socket()
        try:
            sock.bind((address, port))
            # Only now: before, two that don't listen yet could both have the address; later, listening again
            # would be refused while old connections exist.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            sock.close()
            continue
        return address, sock
    raise OSError(f"no free address for port {port}")


class Connection:
    """One connection through the relay: two threads, one each way."""

    def __init__(self, client: socket.socket, guest: socket.socket, faults: FaultFile) -> None:
        self._sockets = (client, guest)
        self._faults = faults
        self._lock = threading.Lock()
        self._running = 2
        self._closed = False
        for source, sink in ((client, guest), (guest, client)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @property
    def open(self) -> bool:
        """Whether it still carries anything."""
        return self._running > 0

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            self._pump(source, sink)
        except OSError:
            self.reset()
        with self._lock:
            self._running -= 1
            last = self._running == 0
            self._closed = self._closed or last
        if last:
            for sock in self._sockets:
                sock.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry blocks, each half a round trip late, until the source ends; then end the sink."""
        delayed: deque[tuple[float, bytes]] = deque()
        poller = select.poll()
        poller.register(source, select.POLLIN)
        ended = False
        while delayed or not ended:
            if delayed:
                self._send_due(delayed, sink)
            wait = None if not delayed else max(0.0, delayed[0][0] - time.monotonic()) * 1000
            if ended or len(delayed) >= DELAYED_BLOCKS:
                time.sleep((wait or 0) / 1000)
                continue
            if not poller.poll(wait):
                continue
            block = source.recv(BLOCK)
            self._wait_while_cut()
            ended = not block
            delay = self._faults.current().latency_ms / 2000
            if not delayed and not delay:
                sink.sendall(block)
            elif block:
                delayed.append((time.monotonic() + delay, block))
        if not self._closed:
            sink.shutdown(socket.SHUT_WR)

    def _send_due(self, delayed: deque[tuple[float, bytes]], sink: socket.socket) -> None:
        while delayed and delayed[0][0] <= time.monotonic():
            self._wait_while_cut()
            sink.sendall(delayed.popleft()[1])

    def _wait_while_cut(self) -> None:
        while self._faults.current().cut and not self._closed:
            time.sleep(CUT_LOOK_SECONDS)

    def reset(self) -> None:
        """Break the connection: both ends see `connection reset`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for sock in self._sockets:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    # Reading alone: shutting down both ways would say a polite goodbye before the reset.
                    sock.shutdown(socket.SHUT_RD)
                except OSError:
                    continue  # this end is down already


class Relay:
    """An instance's public address: listens while its sshd answers and carries what connects."""

    def __init__(
        self, sock: socket.socket, faults: FaultFile, admits: Callable[[socket.socket], bool] = lambda _: True
    ) -> None:
        self._sock = sock
        self._faults = faults
        self._admits = admits
        self._connections: list[Connection] = []
        self._lock = threading.Lock()
        self._connect: Callable[[], socket.socket] | None = None
        self._filler: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def open(self, connect: Callable[[], socket.socket]) -> None:
        """From now on connections are accepted and carried to what `connect` gives."""
        with self._lock:
            self._connect = connect
            self._listen()

    def _listen(self) -> None:
        if self._faults.current().cut:
            # With its queue of one taken, the kernel lets further connections hang: a dead network.
            self._sock.listen(0)
            self._filler = socket.create_connection(self._sock.getsockname(), timeout=5)
            return
        self._sock.listen(BACKLOG)
        if self._filler is not None:
            self._filler.close()
            self._filler = None
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _unlisten(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it wasn't listening
        if self._filler is not None:
            self._filler.close()
            self._filler = None
        if self._acceptor is not None:
            self._acceptor.join(5)
            self._acceptor = None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._sock.accept()
            except OSError:
                return  # closed, or cut
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        connect = self._connect
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if delay := self._faults.current().latency_ms / 1000:
            time.sleep(delay)
        try:
            if connect is None or not self._admits(client):
                raise ConnectionRefusedError
            guest = connect()
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            return
        with self._lock:
            # Made under the lock: once it carries anything, a drop must find it.
            connection = Connection(client, guest, self._faults)
            self._connections = [*(old for old in self._connections if old.open), connection]

    def follow_faults(self) -> None:
        """Begin or end a cut for connections to come; those that exist look for themselves."""
        with self._lock:
            if self._connect is not None and self._faults.current().cut != (self._filler is not None):
                self._unlisten()
                self._listen()

    def drop(self) -> None:
        """Reset all connections."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.reset()

    def pause(self) -> None:
        """The instance is down: refuse connections and reset those that exist; the address stays claimed."""
        with self._lock:
            self._connect = None
            self._unlisten()
        self.drop()

    def close(self) -> None:
        """Give up the address."""
        self.pause()
        self._sock.close()
