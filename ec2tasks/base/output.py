"""All that ec2tasks itself says here: progress, warnings and hints on stderr, data on stdout.

What is handed to these functions may hold a name or an answer of somebody else's: each line is printed with
what a terminal would act upon escaped. Our colours and line ends are put around it here. An error's text,
which Invoke prints, is escaped where it is made (`errors`). A command's own output is `follow`'s to write;
the local EC2 has a log of its own.
"""

from __future__ import annotations

import contextlib
import json as json_format
import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from ec2tasks.base.errors import Failure
from ec2tasks.base.hints import complete
from ec2tasks.base.shown import shown, shown_lines

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


LEAST_CELL = 20  # columns that a cell which is cut must have
CLEARED = "\r\033[K"
_LINES = threading.RLock()  # one line at a time, whichever thread has it to say
_passing: list[str] = []  # the line on the terminal that the next one takes the place of


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether text on this stream may be coloured (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in that colour where the stream can show it, else as it is."""
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if wants_colour(stream) else text


def can_show(characters: str) -> bool:
    """Whether stderr has these characters."""
    try:
        characters.encode(sys.stderr.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shows_curves(characters: str) -> bool:
    """Whether stdout is a terminal, and has these characters."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and can_show(characters)


def line_end(stream: TextIO) -> str:
    """What ends a line: while ssh has the terminal in raw mode, a line feed alone stays in its column."""
    try:
        raw = not termios.tcgetattr(stream)[1] & termios.OPOST
    except (termios.error, OSError, ValueError):
        return "\n"  # no terminal
    return "\r\n" if raw else "\n"


def shows_moving(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what changes in place, a bar, is for stderr: a terminal, but none of CI's and no `make -s`."""
    flags = environ.get("MAKEFLAGS", "").split(" ")[0]  # the short ones, without a dash
    silent = "s" in flags and "=" not in flags and not flags.startswith("-")
    in_ci = environ.get("CI", "").lower() not in ("", "0", "false")
    return sys.stderr.isatty() and environ.get("TERM") != "dumb" and not silent and not in_ci


def passing(text: str) -> bool:
    """Show a line on the terminal that the next one takes the place of; False where none is shown."""
    if not shows_moving():
        return False
    with _LINES:
        if text or _passing:
            # Shorter than the terminal is wide: a line that was broken could not be taken back.
            room = max(20, _width(sys.stderr) - 6)
            line = _paint("ec2: ", "cyan", sys.stderr) + shown(text)[:room] if text else ""
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{CLEARED}{line}")
                sys.stderr.flush()
        _passing[:] = [text] if text else []
    return True


def _put(text: str, stream: TextIO) -> None:
    """Print what is safe to print, in place of a line that was passing."""
    # A character that the stream's encoding lacks is no reason to fail.
    coding = stream.encoding or "utf-8"
    text = text.encode(coding, "backslashreplace").decode(coding)
    with _LINES:
        passing("")
        _print(text, stream)


def _print(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, end=line_end(stream), flush=True)  # this is the module that prints
    except OSError:
        # Whoever read this stream has gone, or the terminal has; the work goes on, its code still counts.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


def _say(mark: str, colour: str, text: str, lines: Sequence[str] = ()) -> None:
    _put(_paint(mark, colour, sys.stderr) + shown(text), sys.stderr)
    for line in lines:
        _put(f"    {shown(line)}", sys.stderr)


def step(text: str) -> None:
    """Say on stderr what is going on."""
    _say("ec2: ", "cyan", complete(text))


def to_copy(line: str) -> None:
    """Say on stderr, apart from all else, a line that the user may put into a file."""
    _put(f"    {shown(line)}", sys.stderr)


def warning(text: str, *, lines: Sequence[str] = (), hint: str | None = None) -> None:
    """Say on stderr what the user should know, with `lines` of somebody else's, and what to type about it."""
    _say("ec2: warning: ", "yellow", text, lines)
    if hint:
        _say("hint: ", "cyan", complete(hint))


def warn_of(failure: Failure) -> None:
    """Say on stderr, as a warning, an error that what was asked for goes on after."""
    warning(failure.what, lines=failure.lines, hint=failure.hint)


def hint(text: str) -> None:
    """Say on stderr what to type next."""
    _say("hint: ", "cyan", complete(text))


def data(text: str, *, label: str = "", colour: str = "bold") -> None:
    """Put a line of data on stdout, behind a coloured word where there is a `label`."""
    _put((_paint(shown(label), colour, sys.stdout) if label else "") + shown(text), sys.stdout)


def relayed(text: str, *, label: str, is_error: bool) -> None:
    """Put a line that another program printed on the same one of our streams, behind whose it is."""
    stream = sys.stderr if is_error else sys.stdout
    _put(_paint(f"{shown(label)} | ", "cyan", stream) + shown(text), stream)


def json(value: object) -> None:
    """Put a value on stdout as JSON, which escapes by its own rules."""
    _put(json_format.dumps(value, indent=2), sys.stdout)


def document(text: str, stream: TextIO | None = None) -> None:
    """Put a text of several lines on stdout, or on this stream: one of ours, or a traceback."""
    _put(shown_lines(text), stream or sys.stdout)


def table(rows: Sequence[Sequence[str]], stream: TextIO | None = None, *, cuts: bool = False) -> None:
    """Put rows on stdout, or on this stream, as a table; the first row is the heading.

    With `cuts` the last column is cut where a terminal has no room for all of it.
    """
    stream = stream or sys.stdout
    room = _width(stream)
    _put(columns(with_last_cut(rows, room) if cuts and room else rows, room=room), stream)


def with_last_cut(rows: Sequence[Sequence[str]], room: int) -> Sequence[Sequence[str]]:
    """The same rows, the last cell of each cut to what so many columns leave for it, where that is enough."""
    left = room - sum(max(len(shown(row[i])) for row in rows) + 2 for i in range(len(rows[0]) - 1))
    if left < LEAST_CELL:
        return rows
    return [
        [*row[:-1], row[-1] if len(shown(row[-1])) <= left else f"{row[-1][: left - 1]}…"] for row in rows
    ]


def can_ask() -> bool:
    """Whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, *, patience: float | None = None) -> bool | None:
    """Ask for a yes on the terminal; None where there is none to ask on, and no answer in so many seconds."""
    if not can_ask():
        return None
    passing("")
    sys.stderr.write(_paint("ec2: ", "cyan", sys.stderr) + f"{shown(question)} [y/N] ")
    sys.stderr.flush()
    if not select.select([sys.stdin], [], [], patience)[0]:
        sys.stderr.write("\n")
        return None
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_text(question: str, *, patience: float) -> str | None:
    """Ask for a line on this session's terminal, wherever stdin and stderr lead.

    None where there is no terminal, or it is not ours now, and without an answer in so many seconds.
    """
    try:
        terminal = Path("/dev/tty").open("r+b", buffering=0)  # noqa: SIM115  # closed below
    except OSError:
        return None
    with terminal:
        # A shell's background job that reads there is stopped.
        if os.tcgetpgrp(terminal.fileno()) != os.getpgrp():
            return None
        passing("")
        terminal.write(f"ec2: {shown(question)} ".encode())
        if not select.select([terminal], [], [], patience)[0]:
            terminal.write(b"\n")
            return None
        return os.read(terminal.fileno(), 4096).decode(errors="replace").strip()


@contextlib.contextmanager
def progress_bar(title: str, total: int, files: int) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar while inside, of so many bytes in so many files.

    Call what is yielded with how many bytes and files have moved so far.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        # A title is no markup of rich's.
        TextColumn("ec2: {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    passing("")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(shown(title), total=total)

        def show(moved: int, done: int) -> None:
            words = f"{title}, {min(done, files)} of {files} files"
            progress.update(task, completed=min(moved, total), description=shown(words))

        show(0, 0)
        yield show


@contextlib.contextmanager
def redrawn() -> Iterator[Callable[[Sequence[Sequence[str]]], None]]:
    """While inside, show tables on the terminal's stdout, each in place of the one before."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    passing("")
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda rows: live.update(Text(columns(rows, room=_width(sys.stdout))), refresh=True)


def columns(cells: Sequence[Sequence[str]], *, room: int = 0) -> str:
    """Rows of cells as lines, each column as wide as its widest cell; the first row is the heading.

    On a terminal that is too narrow for that (`room` columns, 0 for any number), each row as lines of its
    own, a cell a line.
    """
    rows = [[shown(cell) for cell in row] for row in cells]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if room and sum(widths) + 2 * (len(widths) - 1) > room:
        margin = max(map(len, rows[0]))
        blocks = (zip(rows[0], row, strict=True) for row in rows[1:])
        return "\n\n".join("\n".join(f"{name.ljust(margin)}  {cell}" for name, cell in one) for one in blocks)
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _width(stream: TextIO) -> int:
    """How many columns a stream has, 0 where it is no terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0
