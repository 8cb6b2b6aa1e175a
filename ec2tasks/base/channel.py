"""A conversation with a program, line by line: what it says is limited as in any exchange."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from collections import deque

from ec2tasks.base.exchange import (
    BLOCK,
    KIBIBYTE,
    LINGERING,
    ExceededError,
    Limits,
    Lines,
    end,
    kill_group,
    speaker,
    too_long,
    too_much,
)

LAST_WORDS = 4 * KIBIBYTE


class Channel:
    """A program that one talks with line by line, for as long as both like; all of it within `limits`.

    What it says on stderr is taken in meanwhile, its last words kept.
    """

    def __init__(self, tool: subprocess.Popen[bytes], limits: Limits) -> None:
        self.tool, self.limits, self.who = tool, limits, speaker(tool)
        self.exceeded: ExceededError | None = None
        self._lines: deque[bytes] = deque()
        self._split = Lines(on_line=self._lines.append, who=self.who)
        self._began, self._came, self._said_last = time.monotonic(), 0, b""
        assert tool.stdin
        os.set_blocking(tool.stdin.fileno(), False)
        self._listening = threading.Thread(target=self._take_errors, daemon=True)
        self._listening.start()

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self.tool.poll() is None

    def read_line(self, deadline: float | None = None) -> str | None:
        """The next line; None at the end.

        Raises ExceededError, by `deadline` (of the monotonic clock) at the latest; the program is ended then.
        """
        try:
            while not self._lines:
                if not self._take(deadline):
                    self._split.close()
                    break
        except ExceededError:
            kill_group(self.tool)
            raise
        if self.exceeded:
            raise self.exceeded
        return self._lines.popleft().decode(errors="replace").strip() if self._lines else None

    def _take(self, deadline: float | None) -> bool:
        """Take in what comes next; False at the end."""
        assert self.tool.stdout
        left = None if deadline is None else deadline - time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self.tool.stdout, selectors.EVENT_READ)
            if left is not None and (left <= 0 or not selector.select(left)):
                raise too_long(self.who, time.monotonic() - self._began)
        block = os.read(self.tool.stdout.fileno(), BLOCK)
        self._came += len(block)
        if self._came > self.limits.out:
            raise too_much(self.who, self.limits.out)
        self._split(block)
        return bool(block)

    def send(self, text: bytes) -> None:
        """Say this. Raises BrokenPipeError where nobody reads it; whoever does not in time is ended."""
        assert self.tool.stdin
        rest, pipe = memoryview(text), self.tool.stdin
        deadline = time.monotonic() + self.limits.seconds
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.exceeded = too_long(self.who, self.limits.seconds, "took no word")
                    kill_group(self.tool)
                    raise BrokenPipeError
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(pipe.fileno(), rest) :]

    def last_words(self) -> str:
        """The last line on stderr of a program that is ended with this."""
        # Whoever ends it by force reads on for it, and would take its last words.
        self.tool.terminate()
        self._listening.join(timeout=LINGERING)
        end(self.tool)
        words = self._said_last.decode(errors="replace").strip()
        return words.splitlines()[-1] if words else ""

    def _take_errors(self) -> None:
        came = 0
        with contextlib.suppress(OSError, ValueError):
            while self.tool.stderr and (block := os.read(self.tool.stderr.fileno(), BLOCK)):
                came += len(block)
                self._said_last = (self._said_last + block)[-LAST_WORDS:]
                if came > self.limits.err:
                    self.exceeded = too_much(self.who, self.limits.err)
                    kill_group(self.tool)
                    return
