"""What make reads here: the makefiles and the database that it makes of them. Runs no recipe."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import missing_tool
from ec2tasks.make.arguments import Arguments, parse_arguments
from ec2tasks.make.flags import make_argv, parse_makeflags

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # the order in which make looks for them
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
# What make says, in English, of a makefile that it can't read; all else is the Makefile's own $(error).
SYNTAX_ERROR = re.compile(
    r"\*\*\* (?:\[.*\] Error|missing (?:separator|rule before|target pattern|['`]end(?:ef|if)')"
    r"|multiple target|(?:recipe|commands) commences? before|target pattern contains no|mixed implicit"
    r"|extraneous|invalid |unterminated (?:call|variable)|empty variable name|insufficient number of"
    r"|non-numeric |No rule to make target|target file .* has both|.*: (?:No such file|Permission denied)"
    r"|Recursive variable|virtual memory|.*references itself|prerequisites cannot be|only one .*else)"
)
ENGLISH = {"LC_ALL": "C", "LANGUAGE": "C"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What this make was asked, the makefiles it reads, and its database of them, empty where not known."""

    arguments: Arguments
    folder: Path
    makefiles: tuple[str, ...] = ()
    database: str = ""

    @property
    def files(self) -> list[Path]:
        """All makefiles that were read, included ones too; those asked for where that is not known."""
        listed = re.search(rf"^{LIST_PREFIX} (.*)$", self.database, re.MULTILINE)
        return [self.folder / name for name in (listed[1].split() if listed else self.makefiles)]


def read_makefile(targets: str, *, directory: Path, environ: Mapping[str, str] = os.environ) -> Reading:
    """Let make read this folder's Makefile for these targets. Raises UsageError where it can't.

    The database stays empty without goals, for another make than GNU's, where the Makefile refuses these
    goals here and none other, and where it takes too long.
    """
    arguments = parse_arguments(targets)
    folder = directory / arguments.directory
    if not arguments.goals:
        return Reading(arguments=arguments, folder=folder)
    makefiles = arguments.makefiles or _default_makefile(folder)
    flags, variables = parse_makeflags(environ.get("MAKEFLAGS", ""), jobs=1)
    argv = [
        *make_program(environ),
        *("-npq", "-C", str(folder)),
        *(flag for flag in flags if flag.startswith(READING_FLAGS)),
        *(f"--file={name}" for name in (*makefiles, "-")),
        *variables,
        *arguments.variables,
    ]
    call = shlex.join(make_argv(targets, makeflags=environ.get("MAKEFLAGS", "")))
    database = _database(
        argv, arguments.goals, environ, refusal=partial(_unreadable, call=call, folder=folder)
    )
    return Reading(arguments=arguments, folder=folder, makefiles=makefiles, database=database)


def make_program(environ: Mapping[str, str]) -> list[str]:
    """How make is called here: as the make around this was."""
    return (shlex.split(environ.get("MAKE", "")) or ["make"])[:1]


def _default_makefile(folder: Path) -> tuple[str]:
    for name in MAKEFILES:
        if (folder / name).is_file():
            return (name,)
    raise UsageError(f"no Makefile in `{folder}`", hint='cd into the project, or: ec2tasks run "COMMAND"')


def _database(
    argv: Sequence[str],
    goals: Sequence[str],
    environ: Mapping[str, str],
    *,
    refusal: Callable[[str], UsageError],
) -> str:
    """Make's database; empty where it can't be known. Raises UsageError for a Makefile make can't read."""
    answer = ask_make([*argv, *goals], LAST_MAKEFILE, environ={**environ, **ENGLISH})
    if answer is None or STOP in answer.stderr:
        return answer.stdout if answer and "# GNU Make" in answer.stdout else ""
    # A Makefile may refuse these very goals here, for want of a GPU for instance, and accept them there.
    without_goals = ask_make(argv, LAST_MAKEFILE, environ={**environ, **ENGLISH})
    if without_goals is None or STOP in without_goals.stderr or "***" not in without_goals.stderr:
        return ""
    raise refusal(without_goals.stderr)


def _unreadable(said: str, *, call: str, folder: Path) -> UsageError:
    """The error of a Makefile that make can't read, or that ends make by a word of its own (`$(error …)`)."""
    errors = [line for line in said.splitlines() if line.strip()][:ERRORS]
    if SYNTAX_ERROR.search(said):
        return UsageError(f"make can't read the Makefile in `{folder}`:", lines=errors, hint="see: make -n")
    return UsageError(
        f"the Makefile in `{folder}` refuses to be read here:",
        lines=errors,
        hint="where only the instance has what it asks for: "
        f"`ec2tasks run {shlex.quote(call)}`, which reads no Makefile here",
    )


def ask_make(
    argv: Sequence[str], last_makefile: str, *, environ: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str] | None:
    """Run make with a last makefile as its input; None where it takes too long."""
    try:
        return subprocess.run(
            argv,
            env={name: value for name, value in environ.items() if name not in OUTER_MAKE_VARIABLES},
            cwd=cwd,
            input=last_makefile,
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
