"""The make that called this ec2tasks: what was typed for it, which it tells its recipes nothing about.

MAKEFLAGS holds neither -W, -o and -f nor whether a -j in it was typed or set by the Makefile. The command
lines of the makes above this process do.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.make.arguments import parse_words
from ec2tasks.make.flags import parse_makeflags

NAME = re.compile(r"(?:g|gnu)?make(?:-[\d.]+)?")
LONGEST_WAY = 40  # processes from here up to the first make
WIDTH = frozenset("jl")  # the flags that fit a machine: jobs, load


@dataclass(frozen=True, kw_only=True)
class Process:
    """A running program: its words, its parent, the environment it began with (None where not known)."""

    argv: tuple[str, ...]
    parent: int
    environ: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed for the makes above.

    `makefiles` (-f) and `assumed` (-W, -o, as words) are the nearest one's, `width` the letters of WIDTH that
    any of them was given, by its words or by the environment around all of them; `jobs` the number behind the
    nearest -j, None where there is none. `environ` are the names in that environment, None where they can't
    be known.
    """

    makefiles: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    width: frozenset[str] = WIDTH
    jobs: int | None = None
    environ: frozenset[str] | None = None


NOTHING_KNOWN = Typed()


def find_typed(
    environ: Mapping[str, str] = os.environ,
    *,
    pid: int | None = None,
    look: Callable[[int], Process | None] | None = None,
) -> Typed:
    """What was typed for the makes above this process; all that MAKEFLAGS tells counts where none is found.

    As many makes are looked for as MAKELEVEL says: one above those, around a terminal, has no part in this.
    """
    level = environ.get("MAKELEVEL", "")
    if not level.isdecimal() or level == "0":
        return Typed(environ=frozenset(environ))
    makes = list(_makes_above(pid or os.getppid(), int(level), look or _look))
    return typed_for(makes) if len(makes) == int(level) else NOTHING_KNOWN


def call_above(environ: Mapping[str, str] = os.environ) -> str:
    """The call of make that led to this process, as it was typed; empty where none is found."""
    level = environ.get("MAKELEVEL", "")
    count = int(level) if level.isdecimal() else 0
    makes = list(_makes_above(os.getppid(), count, _look))
    if not makes or len(makes) < count:
        return ""
    return shlex.join([Path(makes[-1].argv[0]).name, *makes[-1].argv[1:]])


def typed_for(makes: Sequence[Process]) -> Typed:
    """What was typed for these makes, the nearest first. Pure."""
    nearest, *_ = parsed = [parse_words(make.argv[1:]) for make in makes]
    around = makes[-1].environ
    told = [] if around is None else parse_makeflags(around.get("MAKEFLAGS", ""), jobs=1)[0]
    told += [] if around is None else parse_makeflags(around.get("GNUMAKEFLAGS", ""), jobs=1)[0]
    given = {flag for arguments in parsed for flag, _ in arguments.flags} | {flag[1:2] for flag in told}
    words = [f"-{flag}{value}" for arguments in parsed for flag, value in reversed(arguments.flags)]
    numbers = (int(word[2:]) for word in (*words, *told) if word[:2] == "-j" and word[2:].isdecimal())
    assumed = [word for flag, name in nearest.flags if flag in ("W", "o") for word in (f"-{flag}", name)]
    return Typed(
        makefiles=nearest.makefiles,
        assumed=tuple(assumed),
        width=WIDTH & given,
        jobs=next(numbers, None),
        environ=None if around is None else frozenset(around),
    )


def with_typed(targets: str, typed: Typed) -> str:
    """The words for make with what was typed for the make that handed them on, and could not tell.

    A makefile is named in them where it is not the default one: then all that were named count. Pure.
    """
    words = shlex.split(targets)
    if typed.makefiles and any(word.startswith("--file=") for word in words):
        words = [word for word in words if not word.startswith("--file=")]
        words += [f"--file={_below_here(name)}" for name in typed.makefiles]
    more = shlex.join([*words, *(_below_here(word) for word in typed.assumed)])
    return more if typed.assumed or words != shlex.split(targets) else targets


def _below_here(name: str) -> str:
    """A path of this folder as one that is also true there."""
    path, here = Path(name), Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else name


def _makes_above(pid: int, count: int, look: Callable[[int], Process | None]) -> Iterator[Process]:
    for _ in range(LONGEST_WAY):
        process = look(pid) if count and pid > 1 else None
        if process is None:
            return
        if process.argv and NAME.fullmatch(Path(process.argv[0]).name):
            count -= 1
            yield process
        pid = process.parent


def _look(pid: int) -> Process | None:
    """A process by its number, from Linux's /proc, else as ps tells it."""
    folder = Path(f"/proc/{pid}")
    try:
        # The program's name stands in brackets, and may hold any character.
        parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        argv = tuple(_words(folder / "cmdline"))
    except (OSError, ValueError, IndexError):
        return ask_ps(pid)
    try:
        environ = dict(entry.partition("=")[::2] for entry in _words(folder / "environ"))
    except OSError:  # another user's process
        return Process(argv=argv, parent=parent)
    return Process(argv=argv, parent=parent, environ=environ)


def _words(file: Path) -> list[str]:
    """The words of a file in which each ends with a zero byte."""
    return file.read_bytes().decode(errors="surrogateescape").split("\0")[:-1]


def ask_ps(pid: int) -> Process | None:
    """A process as ps tells it, which joins words by blanks; None where there is none, or no ps."""
    try:
        said = Tools().capture(["ps", "-o", "ppid=", "-o", "args=", "-p", str(pid)])
    except Failure:
        return None
    parent, *argv = said.stdout.decode(errors="surrogateescape").split() or [""]
    return Process(argv=tuple(argv), parent=int(parent)) if parent.isdecimal() else None
