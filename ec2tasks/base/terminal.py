"""The terminal here: whether there is one, its size, its keys as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping

from ec2tasks.base.signals import handled


def on_terminal() -> bool:
    """Whether the command gets a terminal: where all of its input and output is one here, and it is ours now.

    A shell's background job that takes the terminal is stopped.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return True  # not this session's own terminal: no shell moves jobs to its background


def shares_terminal(environ: Mapping[str, str]) -> bool:
    """Whether other recipes of a parallel make may be at the same terminal: its keys are for all of them."""
    return "--jobserver" in environ.get("MAKEFLAGS", "")


def has_input(stdin: int = 0) -> bool:
    """Whether there is input to hand on: an input that is closed or /dev/null needs no pipe there."""
    try:
        given, nothing = os.fstat(stdin), os.stat(os.devnull)  # noqa: PTH116  # a file descriptor
    except OSError:
        return False
    return (given.st_mode, given.st_rdev) != (nothing.st_mode, nothing.st_rdev)


def terminal_size() -> tuple[int, int]:
    """The size of the terminal here, as rows and columns."""
    columns, rows = os.get_terminal_size(0)
    return rows, columns


@contextlib.contextmanager
def raw_terminal() -> Iterator[None]:
    """Every key of the terminal here is for the command; afterwards it is as it was."""
    before = termios.tcgetattr(0)

    def take() -> None:
        tty.setraw(0, termios.TCSADRAIN)

    try:
        # After a stop, the shell here has put its own settings back.
        with handled((signal.SIGCONT,), take):
            take()
            yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def write_all(descriptor: int, block: bytes) -> bool:
    """Write all of these bytes to a file descriptor; False where its reader has gone."""
    rest = memoryview(block)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return False
    return True
