"""What has come from a command and what has gone to it, counted so that nothing is lost or doubled.

Pure: bytes in, bytes out, no clock, no file. Offsets count the bytes of one stream from the command's start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import field

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.exchange import too_much
from ec2tasks.remote.protocol import message_line, read_message

# More than can be on its way at any time: OpenSSH's window of 2 MiB, and the pipes and sockets beside it.
WINDOW = 8 * 1024 * 1024
KEYS_LIMIT = 256  # bytes that go as one line, with no process there
FRAME = 64 * 1024
BEFORE_LIMIT = 256 * 1024  # bytes that a login may print


@dataclass(kw_only=True)
class Output:
    """One of the command's streams as it arrives here, over several connections.

    `offset`: how far it has come. `missing`: bytes that were no longer kept when we came for them, so far
    unsaid. `taken`: how much input the command had been given when the connection began. Each connection
    begins with whatever a login there prints, then a line `MARKER version= offset= taken=`.
    """

    offset: int = 0
    missing: int = 0
    taken: int = 0
    begun: bool = False
    before: bytes = b""
    marker: bytes = b""

    def reopen(self, marker: str) -> None:
        """Expect a new connection, whose first line begins with this marker."""
        self.begun, self.before, self.marker = False, b"", marker.encode()

    def take(self, block: bytes) -> bytes:
        """The part of these bytes that is the command's.

        Raises ProtocolError for another first line, TooMuchError for a login that prints more than it may.
        """
        if not self.begun:
            self.before += block
            start = self.before.find(self.marker + b" ")
            end = self.before.find(b"\n", start)
            if start < 0 or end < 0:
                if len(self.before) > BEFORE_LIMIT:
                    raise too_much("the instance", BEFORE_LIMIT)
                return b""
            message = read_message(self.before[start:end].decode(errors="replace"), self.marker.decode())
            if message is None:
                return b""
            first, self.taken = message.need("offset", int), message.get("taken", int, 0)
            block, self.before, self.begun = self.before[end + 1 :], self.before[:start], True
            self.missing += first - self.offset
            self.offset = first
        self.offset += len(block)
        return block


@dataclass(kw_only=True)
class Input:
    """What the command's input has been given, as far as it may have to be sent again.

    `start`: the offset of the first byte that is kept; `base`: how much of the input was another client's.
    """

    start: int = 0
    base: int | None = None
    closed: bool = False
    kept: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def add(self, block: bytes) -> None:
        """Keep what is sent; what must have arrived by now is dropped."""
        self.kept.append(block)
        self.size += len(block)
        while self.size - len(self.kept[0]) > WINDOW:
            gone = len(self.kept.popleft())
            self.start, self.size = self.start + gone, self.size - gone

    def since(self, taken: int) -> bytes:
        """What the instance, which has taken so many bytes in all, has not got yet."""
        if self.base is None:
            self.base = taken
        return b"".join(self.kept)[max(0, taken - self.base - self.start) :]


def frames(block: bytes) -> Iterator[bytes]:
    """These bytes of input as the messages that follow.sh takes."""
    for start in range(0, len(block), FRAME):
        part = block[start : start + FRAME]
        if len(part) <= KEYS_LIMIT:
            octal = "".join(f"\\{byte:03o}" for byte in part)
            yield message_line("keys", count=len(part), text=octal)
        else:
            yield message_line("data", count=len(part)) + part
