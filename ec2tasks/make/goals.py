"""Which targets make is asked for, and whether the Makefile here has recipes for them."""

from __future__ import annotations

import difflib
import glob
import os
import re
import shlex
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import missing_tool
from ec2tasks.make.database import ANYTHING, PREFIX, Targets, known_targets, unknown_targets
from ec2tasks.make.flags import NEXT_WORD, next_word_value, parse_makeflags, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # the order in which make looks for them
ASSIGNMENT = re.compile(r"[^-:#=\s][^:#=\s]*\s*[:+?!]*=", re.DOTALL)
# Flags with a value, in the same word or else in the next one.
VALUE_LETTERS = "CEIWfo"
LONG_VALUES = (
    "--assume-new --assume-old --directory --eval --file --include-dir --makefile --new-file --old-file"
    " --what-if"
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The words after `make`: its goals, its variables, and the folder (-C) and makefiles (-f) asked for."""

    goals: tuple[str, ...]
    variables: tuple[str, ...]
    directory: str
    makefiles: tuple[str, ...]


def parse_arguments(targets: str) -> Arguments:
    """Tell the goals from the flags and the variables among make's words, as make reads them."""
    words = deque(split_words(targets))
    goals: list[str] = []
    variables: list[str] = []
    values: dict[str, list[str]] = {"C": [], "f": []}
    while words:
        word = words.popleft()
        if word == "--":
            continue
        if word.startswith("-") and word != "-":
            flag, value = _flag_value(word, words)
            values.setdefault(flag, []).append(value)
        else:
            (variables if ASSIGNMENT.match(word) else goals).append(word)
    directory = str(Path(*values["C"])) if values["C"] else "."
    makefiles = tuple(values["f"])
    return Arguments(goals=tuple(goals), variables=tuple(variables), directory=directory, makefiles=makefiles)


def _flag_value(word: str, following: deque[str]) -> tuple[str, str]:
    """A flag that takes a value, `C` and `f` by their letters, and its value, which may be the next word."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if not equals and name in LONG_VALUES.split() and following:
            value = following.popleft()
        return {"--directory": "C", "--file": "f", "--makefile": "f"}.get(name, name), value
    for at, letter in enumerate(word[1:], start=2):
        if letter in VALUE_LETTERS:
            return letter, word[at:] or (following.popleft() if following else "")
        if letter in NEXT_WORD:
            if not word[at:]:
                next_word_value(letter, following)
            break
    return word, ""


# Read after the project's own makefiles, this stops make before it remakes included makefiles or reaches
# a recipe: -n alone would still run lines with `+` or $(MAKE) and the rules of generated makefiles.
STOP = "ec2tasks read it all"
LIST_PREFIX = "ec2tasks makefiles:"
LAST_MAKEFILE = f"$(info {LIST_PREFIX} $(MAKEFILE_LIST))\n$(error {STOP})\n"

# Variables of a make around this one, which the make that is only asked must not get.
OUTER_MAKE_VARIABLES = ("GNUMAKEFLAGS", "MAKEFLAGS", "MAKELEVEL", "MAKE_TERMERR", "MAKE_TERMOUT", "MFLAGS")
READING_FLAGS = ("-I", "-e", "-r", "-R", "--eval")  # the flags that change what the makefiles say
READING_SECONDS = 60
ERRORS = 20  # lines of make's that are repeated
INCLUDE = re.compile(r"^ *(?:-include|sinclude|include)[ \t]+([^#\n]+)", re.MULTILINE)


def check_targets(targets: str, *, directory: Path, environ: Mapping[str, str] = os.environ) -> Targets:
    """Return what this folder's Makefile can make. Raises UsageError for targets that certainly don't exist.

    Runs nothing of the project's. In doubt (rules that fit anything, makefiles yet to be generated, another
    make than GNU's, another folder or makefile asked for) it is ANYTHING.
    """
    arguments = parse_arguments(targets)
    if not arguments.goals:
        return ANYTHING
    folder = directory / arguments.directory
    makefiles = arguments.makefiles or _default_makefile(folder)
    flags, variables = parse_makeflags(environ.get("MAKEFLAGS", ""), jobs=1)
    argv = [
        *(shlex.split(environ.get("MAKE", "")) or ["make"])[:1],
        *("-npq", "-C", str(folder)),
        *(flag for flag in flags if flag.startswith(READING_FLAGS)),
        *(f"--file={name}" for name in (*makefiles, "-")),
        *variables,
        *arguments.variables,
    ]
    database = _database(argv, arguments.goals, folder, environ)
    known = known_targets(database)
    if not database or _may_grow(database, known, folder):
        return ANYTHING
    unknown = unknown_targets(arguments.goals, known, lambda name: (folder / name).exists())
    if unknown:
        raise _no_recipe(unknown, known, " ".join(makefiles))
    return ANYTHING if arguments.makefiles or arguments.directory != "." else known


def _default_makefile(folder: Path) -> tuple[str]:
    for name in MAKEFILES:
        if (folder / name).is_file():
            return (name,)
    raise UsageError(f"no Makefile in `{folder}`", hint='cd into the project, or: ec2tasks run "COMMAND"')


def _database(argv: Sequence[str], goals: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Make's database; empty where it can't be known. Raises UsageError for a Makefile make can't read."""
    answer = _run_make([*argv, *goals], environ)
    if answer is None or STOP in answer.stderr:
        return answer.stdout if answer and "# GNU Make" in answer.stdout else ""
    # A Makefile may refuse these very goals here, for want of a GPU for instance, and accept them there.
    without_goals = _run_make(argv, environ)
    if without_goals is None or STOP in without_goals.stderr or "***" not in without_goals.stderr:
        return ""
    errors = [line for line in without_goals.stderr.splitlines() if line.strip()]
    raise UsageError(
        f"make can't read the Makefile in `{folder}`:", lines=errors[:ERRORS], hint="see: make -n"
    )


def _run_make(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str] | None:
    """Run make on its makefiles and LAST_MAKEFILE; None where it takes too long."""
    kept = {name: value for name, value in environ.items() if name not in OUTER_MAKE_VARIABLES}
    try:
        return subprocess.run(
            argv,
            env={**kept, "LC_ALL": "C", "LANGUAGE": "C"},
            input=LAST_MAKEFILE,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=READING_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise missing_tool(argv[0]) from error
    except subprocess.TimeoutExpired:
        return None


def _may_grow(database: str, known: Targets, folder: Path) -> bool:
    """Whether make would first generate a makefile that is included, which may hold more rules."""
    listed = re.search(rf"^{LIST_PREFIX} (.*)$", database, re.MULTILINE)
    makefiles = (folder / name for name in (listed[1].split() if listed else []))
    texts = (path.read_text("utf-8", errors="replace") for path in makefiles if path.is_file())
    included = (words for text in texts for words in INCLUDE.findall(text.replace("\\\n", " ")))
    return any(_may_be_generated(words, known, folder) for words in included)


def _may_be_generated(words: str, known: Targets, folder: Path) -> bool:
    """Whether make has a way to make one of the included makefiles, that is not there yet."""
    if "$" in words:
        return not words.startswith("$(wildcard ")
    absent = (word for word in words.split() if not glob.glob(word, root_dir=folder))  # noqa: PTH207
    return any(known.may_make(word, lambda _: False) for word in absent)


def _no_recipe(unknown: Sequence[str], known: Targets, makefile: str) -> UsageError:
    """The error that names the targets without a recipe, and those that are spelled like the first."""
    names = sorted(name for name in known.names if re.match(r"[^.%/\s]+$", name) and name not in MAKEFILES)
    what = "no recipe " + ", ".join(f"`{name}`" for name in unknown) + f" in {makefile}"
    target = unknown[0].removeprefix(PREFIX)
    close = [target] if target in names else difflib.get_close_matches(target, names)
    if close:
        return UsageError(what, hint="did you mean " + " or ".join(f"`{name}`" for name in close) + "?")
    return UsageError(what, hint=f"it has: {', '.join(names[:12])}" if names else None)
