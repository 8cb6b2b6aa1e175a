from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.waiting import until

from ec2tasks.local.faults import FaultFile
from ec2tasks.local.relay import Relay, addresses, bind_free_address


@dataclass
class Echo:
    """A server that sends back what it gets, behind a relay."""

    path: Path
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self) -> None:
        self.faults = FaultFile(self.path)
        self.address, sock = bind_free_address(addresses(), 22098)
        self.relay = Relay(sock, self.faults)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(client,), daemon=True).start()

    def _echo(self, client: socket.socket) -> None:
        with client:
            try:
                while block := client.recv(65536):
                    client.sendall(block)
            except OSError:
                return

    def open(self) -> None:
        self.relay.open(lambda: socket.create_connection(self.listener.getsockname()))

    def connect(self, timeout: float = 60) -> socket.socket:
        return socket.create_connection((self.address, 22098), timeout=timeout)

    def set(self, **asked: Any) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(asked))
        draft.replace(self.path)
        self.relay.follow_faults()

    def close(self) -> None:
        self.relay.close()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    server = Echo(tmp_path / "faults.json")
    yield server
    server.close()


def exchange(connection: socket.socket, words: bytes = b"hello") -> bytes:
    connection.sendall(words)
    got = b""
    while len(got) < len(words):
        block = connection.recv(65536)
        if not block:
            break
        got += block
    return got


def test_addresses_are_each_used_once() -> None:
    pool = addresses(start=254)
    assert [next(pool), next(pool)] == ["127.77.0.254", "127.77.1.1"]
    assert len(set(addresses())) == 256 * 254


def test_a_claimed_address_is_nobody_elses() -> None:
    first, sock = bind_free_address(iter(["127.77.1.1", "127.77.1.2"]), 22097)
    second, other = bind_free_address(iter(["127.77.1.1", "127.77.1.2"]), 22097)
    with sock, other:
        assert (first, second) == ("127.77.1.1", "127.77.1.2")
        with pytest.raises(OSError, match="no free address"):
            bind_free_address(iter(["127.77.1.1"]), 22097)


def test_before_it_opens_and_while_it_pauses_connections_are_refused(echo: Echo) -> None:
    with pytest.raises(ConnectionRefusedError):
        echo.connect()
    echo.open()
    with echo.connect() as connection:
        assert exchange(connection) == b"hello"
        echo.relay.pause()
        with pytest.raises(ConnectionRefusedError):
            echo.connect()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    echo.open()
    with echo.connect() as connection:
        assert exchange(connection) == b"hello"


def test_much_arrives_whole(echo: Echo) -> None:
    echo.open()
    words = bytes(range(256)) * 40000
    with echo.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(words,))
        sender.start()
        got = b""
        while len(got) < len(words):
            got += connection.recv(1 << 20)
        sender.join()
        assert got == words


def test_the_end_of_one_side_reaches_the_other(echo: Echo) -> None:
    echo.open()
    with echo.connect() as connection:
        connection.sendall(b"last")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b"last"
        assert connection.recv(10) == b""


def test_latency_is_the_round_trip(echo: Echo) -> None:
    echo.open()
    with echo.connect() as connection:
        exchange(connection)
        echo.set(latency_ms=100)
        before = time.monotonic()
        assert exchange(connection) == b"hello"
        assert time.monotonic() - before >= 0.1
        echo.set()
        assert exchange(connection) == b"hello"


def seconds_for(connection: socket.socket, words: bytes) -> float:
    """How long these take there and back."""
    before = time.monotonic()
    sender = threading.Thread(target=connection.sendall, args=(words,))
    sender.start()
    left = len(words)
    while left:
        left -= len(connection.recv(1 << 20))
    sender.join()
    return time.monotonic() - before


def test_latency_delays_but_does_not_slow(echo: Echo) -> None:
    echo.open()
    words = b"x" * (8 << 20)
    with echo.connect() as connection:
        plain = seconds_for(connection, words)
        echo.set(latency_ms=100)
        # A wait for each of the 128 blocks would be as many round trips.
        assert seconds_for(connection, words) - plain < 64 * 0.1


def test_a_cut_holds_what_is_connected_and_hangs_what_connects(echo: Echo) -> None:
    echo.open()
    with echo.connect() as connection:
        exchange(connection)
        echo.set(cut=True)
        connection.sendall(b"held")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(10)
        with pytest.raises(TimeoutError):
            echo.connect(timeout=0.5)
        echo.set()
        connection.settimeout(60)
        assert connection.recv(10) == b"held"
    with echo.connect() as connection:
        assert exchange(connection) == b"hello"


def test_a_drop_resets_what_is_connected_and_nothing_else(echo: Echo) -> None:
    echo.open()
    with echo.connect() as connection:
        exchange(connection)
        echo.relay.drop()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with echo.connect() as connection:
        assert exchange(connection) == b"hello"


def test_what_does_not_answer_behind_it_is_a_reset(echo: Echo) -> None:
    def refusal_reply() -> socket.socket:
        raise ConnectionRefusedError

    echo.relay.open(refusal_reply)
    with pytest.raises(ConnectionResetError), echo.connect() as connection:
        connection.recv(1)


def test_links_end_with_their_connections(echo: Echo) -> None:
    echo.open()
    with echo.connect() as connection:
        exchange(connection)
    until(lambda: all(not connection.open for connection in echo.relay._connections), "the link to end")
