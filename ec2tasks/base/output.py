"""All that ec2tasks itself says here: progress, warnings and hints on stderr, data on stdout.

A command's own output is `follow`'s to write, an error's text Invoke's; the local EC2 has a log of its own.
"""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Mapping, Sequence
from typing import TextIO

from ec2tasks.base.hints import complete

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether text on this stream may be coloured (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in that colour where the stream can show it, else as it is."""
    stream = stream or sys.stderr
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if wants_colour(stream) else text


def line_end(stream: TextIO) -> str:
    """What ends a line: while ssh has the terminal in raw mode, a line feed alone stays in its column."""
    try:
        raw = not termios.tcgetattr(stream)[1] & termios.OPOST
    except (termios.error, OSError, ValueError):
        return "\n"  # no terminal
    return "\r\n" if raw else "\n"


def _say(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, end=line_end(stream), flush=True)  # this is the module that prints
    except OSError:
        # Whoever read this stream has gone, or the terminal has; the work goes on, its code still counts.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


def step(text: str) -> None:
    """Say on stderr what is going on."""
    _say(paint("ec2: ", "cyan") + complete(text), sys.stderr)


def warning(text: str, *, hint: str | None = None) -> None:
    """Say on stderr what the user should know, and what to type about it."""
    _say(paint("ec2: warning: ", "yellow") + text, sys.stderr)
    if hint:
        _say(paint("hint: ", "cyan") + complete(hint), sys.stderr)


def hint(text: str) -> None:
    """Say on stderr what to type next."""
    _say(paint("hint: ", "cyan") + complete(text), sys.stderr)


def data(text: str) -> None:
    """Put data on stdout."""
    _say(text, sys.stdout)


def ask(question: str, *, patience: float | None = None) -> bool | None:
    """Ask for a yes on the terminal; None where there is none to ask on, and no answer in so many seconds."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stderr.write(paint("ec2: ", "cyan") + f"{question} [y/N] ")
    sys.stderr.flush()
    if not select.select([sys.stdin], [], [], patience)[0]:
        sys.stderr.write("\n")
        return None
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def columns(rows: Sequence[Sequence[str]], *, room: int | None = None) -> str:
    """Rows as lines, each column as wide as its widest cell; the first row is the heading.

    On a terminal that is too narrow for that (`room` columns), each row as lines of its own, a cell a line.
    """
    room = _width() if room is None else room
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if room and sum(widths) + 2 * (len(widths) - 1) > room:
        margin = max(map(len, rows[0]))
        blocks = (zip(rows[0], row, strict=True) for row in rows[1:])
        return "\n\n".join("\n".join(f"{name.ljust(margin)}  {cell}" for name, cell in one) for one in blocks)
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _width() -> int:
    """How many columns stdout has, 0 where it is no terminal."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0
