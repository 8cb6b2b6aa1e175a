"""A command in the background: what it says as it comes, signals, its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import IO, Any

from support.project import CommandResult, ScratchProject
from support.waiting import PATIENCE, until

BACKGROUND: list[subprocess.Popen[bytes]] = []  # what runs beside a test, ended after it


@dataclass(kw_only=True)
class Client:
    """A command in the background; all that it says is kept as it comes, line by line."""

    process: subprocess.Popen[bytes]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _told: int = 0

    def attend(self, stdin: bytes) -> None:
        """Begin to keep what it says, and to hand it this."""
        assert self.process.stdout
        assert self.process.stderr
        work: list[tuple[Callable[..., None], Any, Any]] = [
            (_keep, self.process.stdout, self.out),
            (_keep, self.process.stderr, self.err),
        ]
        if self.process.stdin:
            work.append((_hand, self.process.stdin, stdin))
        for target, pipe, what in work:
            self._threads.append(threading.Thread(target=target, args=(pipe, what), daemon=True))
            self._threads[-1].start()

    def line(self) -> str:
        """The next line of its output, without its end; fails with what it said where there is none."""

        def come() -> bool:
            return len(self.out) > self._told or self.over()

        until(come, f"a line of output; it said {self.err}")
        if len(self.out) <= self._told:
            self._join()
        assert len(self.out) > self._told, self.err
        self._told += 1
        return self.out[self._told - 1].rstrip("\n")

    def prints(self, line: str) -> bool:
        """Whether this is one of the whole lines of its output so far."""
        return f"{line}\n" in list(self.out)

    def says(self, words: str) -> bool:
        """Whether it has told this."""
        return any(words in line for line in list(self.err))

    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def signal(self, number: Signals) -> None:
        """Send this to the client alone."""
        self.process.send_signal(number)

    def signal_all(self, number: Signals) -> None:
        """Send this to it and all that it started, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> CommandResult:
        """Wait for its end: all that it ever said."""
        code = self.process.wait(PATIENCE)
        self._join()
        return CommandResult(code=code, out="".join(self.out), err="".join(self.err))

    def _join(self) -> None:
        for one in self._threads:
            one.join(PATIENCE)


def _keep(pipe: IO[bytes], lines: list[str]) -> None:
    with pipe:
        for line in pipe:
            lines.append(line.decode())  # noqa: PERF401  # at once, not at the end


def _hand(pipe: IO[bytes], words: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:  # it ended first
        pipe.write(words)


def hit_at_step_argv(deed: str, step: str, *words: str, log: str = "/dev/null") -> list[str]:
    """The command `ec2tasks WORDS` to which this is done at that step, as hit_at_step.py names both."""
    script = Path(__file__).with_name("hit_at_step.py")
    return [sys.executable, str(script), deed, step, log, *words]


def start(project: ScratchProject, *argv: str, stdin: bytes | None = None) -> Client:
    """Run a command in the project, in the background and in a session of its own."""
    process = subprocess.Popen(
        argv,
        cwd=project.root,
        env=project.environ,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if threading.current_thread() is threading.main_thread():  # else it is not this test's alone
        BACKGROUND.append(process)
    client = Client(process=process)
    client.attend(stdin or b"")
    return client
