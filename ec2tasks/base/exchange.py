"""An exchange with a program that says what an instance says: never more, and never for longer, than it may.

Whoever is on the other side of an ssh or rsync may print for ever, drip, or say nothing. So all that is read
from one is read here, counted as it comes; what is not held is handed on at once. Only what a command itself
prints has no end: remote/follow.py hands it on as it comes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import field

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024
BLOCK = 64 * KIBIBYTE
LINE_LIMIT = 256 * KIBIBYTE
ENDING = 5.0  # seconds that a program gets to end by itself once it is told to
LINGERING = 2.0  # seconds after a program's end in which what it said may still come
ENDLESS_HINT = (
    "does a login print without end there? ~/.bashrc, ~/.profile, ~/.ssh/rc;"
    " `ec2tasks down --no-rsync` ends the instance"
)
Sink = Callable[[bytes], object]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an exchange may take: bytes of stdout and of stderr, seconds in all, seconds without a byte."""

    out: int = 8 * MEBIBYTE
    err: int = MEBIBYTE
    seconds: float
    silence: float | None = None


class ExceededError(Failure):
    """An exchange took more than it may; the program here has been ended."""


class TooMuchError(ExceededError):
    """The other side says more than any honest one would: asked again, it would do so again."""


class TooLongError(ExceededError):
    """The other side did not come to an end in time."""


def too_much(who: str, limit: int, what: str = "an answer") -> TooMuchError:
    """The error that more than `limit` bytes came."""
    size = f"{limit // MEBIBYTE} MiB" if limit >= MEBIBYTE else f"{limit // KIBIBYTE or 1} KiB"
    return TooMuchError(f"{who} printed more than {size} in place of {what}", hint=ENDLESS_HINT)


def too_long(who: str, seconds: float, what: str = "gave no full answer") -> TooLongError:
    """The error that something took more than so many seconds."""
    return TooLongError(
        f"{who} {what} for {seconds:.0f} s", hint="check the network; `ec2tasks status` shows the instance"
    )


def speaker(tool: subprocess.Popen[bytes]) -> str:
    """Who it is that speaks through a program."""
    name = str(tool.args[0] if isinstance(tool.args, (list, tuple)) else tool.args)
    return "the instance" if name in ("ssh", "rsync") else f"`{name}`"


@dataclass(kw_only=True)
class Meter:
    """Counts what comes from a program and for how long; each method raises ExceededError."""

    limits: Limits
    who: str
    clock: Callable[[], float] = time.monotonic
    came: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})

    def __post_init__(self) -> None:
        self.began = self.heard = self.clock()

    def count(self, stream: str, size: int) -> None:
        """Take in that so many bytes of `out` or `err` came."""
        self.heard = self.clock()
        self.came[stream] += size
        limit: int = getattr(self.limits, stream)
        if self.came[stream] > limit:
            raise too_much(self.who, limit)

    def left(self) -> float:
        """The seconds that may still pass without a byte."""
        now, limits = self.clock(), self.limits
        left = self.began + limits.seconds - now
        if left <= 0:
            raise too_long(self.who, limits.seconds)
        quiet = left if limits.silence is None else self.heard + limits.silence - now
        if quiet <= 0:
            raise too_long(self.who, limits.silence or 0, "said nothing")
        return min(left, quiet)


def pump(
    tool: subprocess.Popen[bytes], limits: Limits, *, stdin: bytes = b"", on_out: Sink, on_err: Sink
) -> None:
    """Give a program its input and hand on what it says, until it has ended.

    It has ended whatever happens. Raises ExceededError where it says or takes more than it may.
    """
    meter = Meter(limits=limits, who=speaker(tool))
    try:
        with selectors.DefaultSelector() as selector:
            for pipe, name, sink in ((tool.stdout, "out", on_out), (tool.stderr, "err", on_err)):
                if pipe:
                    selector.register(pipe, selectors.EVENT_READ, (name, sink))
            writer = _Writer(tool, stdin, selector)
            _move(tool, selector, meter, writer)
        tool.wait(timeout=meter.left())
    except subprocess.TimeoutExpired as error:
        end(tool)
        raise too_long(meter.who, limits.seconds) from error
    except BaseException:
        end(tool)
        raise


def _move(
    tool: subprocess.Popen[bytes], selector: selectors.BaseSelector, meter: Meter, writer: _Writer
) -> None:
    over: float | None = None
    while selector.get_map():
        events = selector.select(min(meter.left(), LINGERING / 4))
        if over is None and tool.poll() is not None:
            over = meter.clock() + LINGERING
        if over is not None and (meter.clock() > over):
            # What a program left in the background holds its pipes and is none of ours.
            kill_group(tool)
            return
        for key, _ in events:
            if key.data is None:
                writer.write()
                continue
            name, sink = key.data
            block = os.read(key.fd, BLOCK)
            if not block:
                selector.unregister(key.fileobj)
                continue
            meter.count(name, len(block))
            sink(block)


class _Writer:
    """Gives a program its input, as it takes it."""

    def __init__(
        self, tool: subprocess.Popen[bytes], content: bytes, selector: selectors.BaseSelector
    ) -> None:
        self.pipe, self.rest, self.selector = tool.stdin, memoryview(content), selector
        if self.pipe:
            os.set_blocking(self.pipe.fileno(), False)
            selector.register(self.pipe, selectors.EVENT_WRITE, None)

    def write(self) -> None:
        """Write what goes in now; at its end, or where nobody reads it, close it."""
        assert self.pipe
        try:
            self.rest = (
                self.rest[os.write(self.pipe.fileno(), self.rest[:BLOCK]) :] if self.rest else self.rest
            )
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.rest = self.rest[:0]
        if not self.rest:
            self.selector.unregister(self.pipe)
            with contextlib.suppress(BrokenPipeError):
                self.pipe.close()


def end(tool: subprocess.Popen[bytes]) -> None:
    """End a program, after some seconds by force, with all that it started; its last words are dropped."""
    try:
        tool.terminate()
        over = time.monotonic() + ENDING
        pipes = [pipe for pipe in (tool.stdout, tool.stderr) if pipe and not pipe.closed]
        with selectors.DefaultSelector() as selector:
            for pipe in pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while tool.poll() is None and time.monotonic() < over:
                # It may wait for somebody to read what it still says.
                for key, _ in selector.select(0.05):
                    if not os.read(key.fd, BLOCK):
                        selector.unregister(key.fileobj)
    finally:
        kill_group(tool)
        tool.wait()


def kill_group(tool: subprocess.Popen[bytes]) -> None:
    """Kill a program, and where it was given a session of its own, all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(tool.pid, signal.SIGKILL)
    if tool.poll() is None:
        tool.kill()


@dataclass(kw_only=True)
class Lines:
    """A sink that hands on whole lines, none longer than `limit` bytes; `ends` are the bytes that end one."""

    on_line: Callable[[bytes], object]
    who: str = "the instance"
    also: bytes = b""
    limit: int = LINE_LIMIT
    rest: bytearray = field(default_factory=bytearray)

    def __call__(self, block: bytes) -> None:
        """Take in what came. Raises TooMuchError for a line that is too long."""
        if self.also:
            block = block.replace(self.also, b"\n")
        first, *lines = block.split(b"\n")
        self._add(first)
        if not lines:
            return
        self._end_line()
        for line in lines[:-1]:
            if len(line) > self.limit:
                raise too_much(self.who, self.limit, "a line")
            self.on_line(line)
        self._add(lines[-1])

    def _add(self, part: bytes) -> None:
        self.rest += part
        if len(self.rest) > self.limit:
            raise too_much(self.who, self.limit, "a line")

    def _end_line(self) -> None:
        line = bytes(self.rest)
        self.rest.clear()
        self.on_line(line)

    def close(self) -> None:
        """Hand on a last line that nothing ended."""
        if self.rest:
            self._end_line()
