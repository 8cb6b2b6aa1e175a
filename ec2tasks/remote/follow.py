"""Follow a job: show its output, hand on keys and input, over however many connections.

The main thread moves what the command prints; another one what it is given, so that neither waits for the
other. Signals are handled in the main thread: Ctrl-C is for the command, all else leaves it running.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import IO

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.exchange import TooLongError, end, too_long
from ec2tasks.base.process import PIPE, Tools
from ec2tasks.base.signals import handled
from ec2tasks.base.terminal import raw_terminal, terminal_size, write_all
from ec2tasks.remote.ctrl_c import HUNG_UP, INTERRUPT_KEY, INTERRUPTED, InterruptKeys, detach
from ec2tasks.remote.job import BROKEN
from ec2tasks.remote.protocol import Value, message_line, script_argv
from ec2tasks.remote.stream import FRAME, Input, Output, frames
from ec2tasks.ssh.host import Host

HEARTBEAT = 15.0  # seconds; the instance takes a client that says nothing for 60 for gone
BLOCK = 256 * 1024
SENDING_LIMIT = 5.0  # seconds
BEGINNING_LIMIT = 120.0  # seconds from the start of a connection to the command's own output
MEBIBYTE = 1024 * 1024


@dataclass(kw_only=True)
class View:
    """A client's view of one job, over one connection after another.

    `raw`: the terminal here is the command's own, with its keys; `fed`: the input here is handed on;
    `leaves`: two Ctrl-C in a row among the keys leave the command running. `interrupt` sends Ctrl-C there;
    `on_connected` is called whenever a connection stands, `on_unread` when nobody reads the output here,
    `on_shown` with the offsets up to which the two streams have been shown, `on_printed` with each part.
    `met`: a connection has ever got as far as the command.
    """

    tools: Tools
    raw: bool = False
    fed: bool = False
    leaves: bool = True
    interrupt: Callable[[], None] = lambda: None
    on_connected: Callable[[], None] = lambda: None
    on_unread: Callable[[], None] = lambda: None
    on_shown: Callable[[tuple[int, int]], None] = lambda _offsets: None
    on_printed: Callable[[bytes], None] = lambda _block: None
    out: Output = field(default_factory=Output)
    err: Output = field(default_factory=Output)
    input: Input = field(default_factory=Input)
    clock: Callable[[], float] = time.monotonic
    interrupts: int = 0
    met: bool = False
    connected: bool = False
    _leaving: int | None = None
    _channel: int | None = None
    _sending: threading.Lock = field(default_factory=threading.Lock)
    _asked: deque[Callable[[], None]] = field(default_factory=deque)
    _keys: InterruptKeys = field(default_factory=InterruptKeys)
    _closed_outputs: set[int] = field(default_factory=set)
    _wake: tuple[int, int] = (-1, -1)
    _over: bool = False
    _ssh: subprocess.Popen[bytes] | None = None

    @property
    def begun(self) -> bool:
        """Whether the connection, or the last one, got as far as the command."""
        return self.out.begun and self.err.begun

    def interrupted(self, code: int) -> bool:
        """Whether Ctrl-C ended the command; as a key it may be a program's usual end, a success then."""
        return self.interrupts > 0 or (self._keys.armed and code != 0)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Take over the terminal, the input and the signals here, and give them back whatever happens."""
        self._wake = os.pipe()
        # A daemon: it may be waiting for input that never comes.
        feeder = threading.Thread(target=self._feed, daemon=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._signals())
            if self.raw:
                stack.enter_context(raw_terminal())
                stack.enter_context(handled((signal.SIGWINCH,), lambda: self._ask(self._send_size)))
            feeder.start()
            stack.callback(self._end_feeding)
            yield

    def once(self, argv: Callable[[str], list[str]]) -> tuple[int, str]:
        """Follow over one connection: ssh's exit code, and what it or a login said before it began.

        `argv` gives the ssh to start, for the marker that each of its streams begins with. Raises Detached
        where the user leaves the command running, ExceededError where a login there has no end.
        """
        marker = secrets.token_hex(8)
        self.out.reopen(marker)
        self.err.reopen(marker)
        ssh = self.tools.start(
            argv(marker), stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0, start_new_session=True
        )
        self._ssh = ssh
        widen(ssh.stdout)
        with ssh:
            try:
                self._pump(ssh)
                code = ssh.wait()
            except TooLongError:
                end(ssh)
                if not self.met:
                    raise
                code = BROKEN
            except BaseException:
                ssh.kill()
                raise
            finally:
                self._disconnect()
        return code, "" if self.begun else self.err.before.decode(errors="replace").strip()

    def drop(self) -> None:
        """End the connection that stands, said by another thread: it is not to carry anything any more."""
        if self._ssh:
            self._ssh.kill()

    def _disconnect(self) -> None:
        # The pipe's number may be the next one's: nothing may still be written to it. Its reader has gone.
        held = self._sending.acquire(timeout=SENDING_LIMIT)
        self._channel, self.connected = None, False
        if held:
            self._sending.release()

    # What the command prints

    def _pump(self, ssh: subprocess.Popen[bytes]) -> None:
        assert ssh.stdin is not None
        assert ssh.stdout is not None
        assert ssh.stderr is not None
        with selectors.DefaultSelector() as selector:
            for pipe, stream, here in ((ssh.stdout, self.out, 1), (ssh.stderr, self.err, 2)):
                selector.register(pipe, selectors.EVENT_READ, (stream, here))
            deadline = self.clock() + BEGINNING_LIMIT
            while selector.get_map():
                left = None if self.begun else deadline - self.clock()
                if left is not None and left <= 0:
                    raise too_long("the instance", BEGINNING_LIMIT, "did not get as far as the command")
                for key, _ in selector.select(left):
                    block = os.read(key.fd, BLOCK)
                    if not block:
                        selector.unregister(key.fileobj)
                        continue
                    stream, here = key.data
                    self._show(stream, here, block)
                    if not self.connected and self.begun:
                        self._meet(ssh.stdin.fileno())

    def _meet(self, channel: int) -> None:
        """The connection stands: from now on, what the command is given goes there."""
        taken = self.out.taken

        def begin() -> None:
            self._channel = channel
            self._send_size()
            self._send_frames(self.input.since(taken))
            if self.input.closed:
                self._say("eof")

        self.connected = self.met = True
        self.on_connected()
        self._ask(begin)

    def _show(self, stream: Output, here: int, block: bytes) -> None:
        payload = stream.take(block)
        if stream.missing:
            missing, stream.missing = stream.missing / MEBIBYTE, 0
            output.warning(
                f"{missing:.1f} MiB of the output came and went while nobody was here",
                hint="log_mb in ec2.yaml sets how much of it is kept there",
            )
        if here not in self._closed_outputs and not write_all(here, payload):
            self._closed_outputs.add(here)
            if here == 1:
                self.on_unread()
        self.on_printed(payload)
        if not self._closed_outputs:
            self.on_shown((self.out.offset, self.err.offset))

    # What the command is given: all of it in a thread of its own

    def _feed(self) -> None:
        while not self._over:
            # What is read while there is no connection would pile up; keys are few, and may be Ctrl-C.
            reads = self.fed and not self.input.closed and (self.raw or self._channel is not None)
            ready = select.select([self._wake[0], *([0] if reads else [])], [], [], HEARTBEAT)[0]
            if self._wake[0] in ready:
                os.read(self._wake[0], 1024)
                while self._asked:
                    self._asked.popleft()()
            if 0 in ready:
                self._read()
            if not ready:
                self._say("alive")

    def _read(self) -> None:
        try:
            block = os.read(0, FRAME)
        except OSError:
            block = b""  # a terminal that is gone, or another job's
        if not block:
            self.input.closed = True
            if self.raw:
                self._detach(HUNG_UP)
            else:
                self._say("eof")
            return
        leave = False
        if self.raw and self.leaves:
            block, leave = self._keys.upto_detach(block)
            leave = leave or (not self.connected and INTERRUPT_KEY in block)
        self.input.add(block)
        self._send_frames(block)
        if leave:
            self._detach(INTERRUPTED)

    def _send_size(self) -> None:
        if self.raw:
            with contextlib.suppress(OSError):
                rows, columns = terminal_size()
                self._say("size", rows=rows, columns=columns)

    def _say(self, verb: str, **values: Value) -> None:
        self._send(message_line(verb, **values))

    def _send_frames(self, block: bytes) -> None:
        for frame in frames(block):
            self._send(frame)

    def _send(self, text: bytes) -> None:
        with self._sending:
            # A connection that broke meanwhile: what was for it is sent again over the next.
            if self._channel is not None and not write_all(self._channel, text):
                self._channel = None

    def _ask(self, what: Callable[[], None]) -> None:
        self._asked.append(what)
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b".")

    def _end_feeding(self) -> None:
        self._over = True
        self._ask(lambda: None)

    # Signals

    def _detach(self, code: int) -> None:
        """Leave the command, said by another thread than the one that follows."""
        self._leaving = code
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        with (
            handled((signal.SIGINT,), self._on_interrupt),
            handled((signal.SIGTERM,), lambda: detach(128 + signal.SIGTERM)),
            handled((signal.SIGHUP,), lambda: detach(HUNG_UP)),
            # Reading the terminal from the background is then an error rather than a stop.
            handled((signal.SIGTTIN,), lambda: None),
        ):
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
            yield

    def _on_interrupt(self) -> None:
        if self._leaving is not None:
            detach(self._leaving)
        self.interrupts += 1
        if self.interrupts > 1 or (self.met and not self.connected):
            detach(INTERRUPTED)
        # Not here: it takes a connection, and its output goes on meanwhile.
        threading.Thread(target=self.interrupt, daemon=True).start()


def widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole block, where the system lets it: a quarter of the reads and of the waking up.

    https://man7.org/linux/man-pages/man7/pipe.7.html, "Pipe capacity"
    """
    if pipe and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # there are so many pages for all pipes of a user
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BLOCK)


def follow_argv(
    host: Host,
    job_id: str,
    view: View,
    marker: str,
    *,
    start: bool = False,
    dump: bool = False,
    options: Sequence[str],
) -> list[str]:
    """An ssh that follows a job from where this view is; `start` begins it, `dump` does not wait for more."""
    return script_argv(
        host,
        "follow.sh",
        "follow",
        job=job_id,
        marker=marker,
        out=view.out.offset,
        err=view.err.offset,
        start=start,
        dump=dump,
        options=options,
    )
