"""What this make was asked, as the make to run there, and whether the Makefile here has such recipes.

The local make tells its recipes its own flags and variables in `MAKEFLAGS`
(https://www.gnu.org/software/make/manual/html_node/Options_002fRecursion.html), in three dialects:

    4.x   `k -j4 --jobserver-auth=3,4 -- EPOCHS=3`, the jobserver also as `fifo:/tmp/GMfifo123` since 4.4
    3.81  `kI mk --jobserver-fds=3,4 -j -- EPOCHS=3`: values are words of their own, the number of jobs
          is lost; and `EPOCHS=3` alone, without `--`, when there is no flag

It never tells them `-C`, `-f`, `-o` and `-W`, nor the variables under `-e` (a literal `$(MAKEOVERRIDES)`
stands there) and where a Makefile empties `MAKEOVERRIDES`.
"""

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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # the order in which make looks for them

# -n, -q and -t belong to this make alone; -w would name the folder there after this make named the one here.
STAYING_LETTERS = "nqtw"
STAYING_WORDS = ("--jobserver-auth", "--jobserver-fds", "--jobserver-style", "--print-directory")
GOING_VARIABLE = re.compile(r"(?!(EC2_\w*|EC2TASKS)\s*[:+?!]*=)[^:#=\s]+\s*[:+?!]*=")
ASSIGNMENT = re.compile(r"[^-:#=\s][^:#=\s]*\s*[:+?!]*=", re.DOTALL)
# Flags with a value: in the same word or, where the next word has the form given here, in that one.
VALUE_LETTERS = "CEIWfo"
NEXT_WORD = {"I": r"", "O": r"(?!)", "j": r"\d+$", "l": r"[\d.]+$"}
LONG_VALUES = (
    "--assume-new --assume-old --directory --eval --file --include-dir --makefile --new-file --old-file"
    " --what-if"
)


def make_argv(targets: str, *, makeflags: str = "", jobs: int | None = None) -> list[str]:
    """Build the call of make that does there what this make was asked to do here.

    `targets` is split as a shell would; its flags and NAME=value words stay as they are. `makeflags` is
    the environment's MAKEFLAGS. `jobs` (default: this machine's cores) stands in for the number of `-j`
    where an old make does not tell it.
    """
    flags, variables = carried(makeflags, jobs=jobs or os.cpu_count() or 1)
    return ["make", *flags, *variables, *_split(targets)]


def carried(makeflags: str, *, jobs: int) -> tuple[list[str], list[str]]:
    """Take from MAKEFLAGS the flags and the variables that go along, each as one word, unescaped."""
    words = deque(_unescaped_words(makeflags))
    if words and not words[0].startswith("-") and "=" not in words[0]:
        words[0] = f"-{words[0]}"
    flags: list[str] = []
    variables: list[str] = []
    shared_jobs = False
    while words:
        word = words.popleft()
        if word == "--":
            variables.extend(words)
            break
        if word.startswith("--"):
            shared_jobs = shared_jobs or word.startswith(STAYING_WORDS[:2])
            flags.extend([] if word.startswith(STAYING_WORDS) else [word])
        elif word.startswith("-"):
            flags.extend(_short_flags(word[1:], words))
        else:
            variables.append(word)
    # A bare -j is unlimited, but with a jobserver some number was given.
    flags = [f"-j{jobs}" if flag == "-j" and shared_jobs else flag for flag in flags]
    # make lists its variables last to first.
    return flags, [word for word in reversed(variables) if GOING_VARIABLE.match(word)]


def _unescaped_words(makeflags: str) -> list[str]:
    """Undo make's quoting: blanks and backslashes behind a backslash, dollars doubled."""
    words = re.findall(r"(?:\\.|[^ \t\\]|\\$)+", makeflags, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("$$", "$") for word in words]


def _short_flags(letters: str, following: deque[str]) -> Iterator[str]:
    """Each flag of a word such as `kj4` alone; a value may be the next word, as 3.81 writes it."""
    for at, letter in enumerate(letters):
        if letter in NEXT_WORD:
            value = letters[at + 1 :]
            if not value and following and re.match(NEXT_WORD[letter], following[0]):
                value = following.popleft()
            yield f"-{letter}{value}"
            return
        if letter not in STAYING_LETTERS:
            yield f"-{letter}"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The words after `make`: goals apart from what says where and with what to look for them."""

    goals: tuple[str, ...]
    variables: tuple[str, ...]
    directory: str
    makefiles: tuple[str, ...]


def asked(targets: str) -> Asked:
    """Tell the goals from the flags and the variables in `make`'s words."""
    words = deque(_split(targets))
    goals: list[str] = []
    variables: list[str] = []
    values: dict[str, list[str]] = {"C": [], "f": []}
    while words:
        word = words.popleft()
        if word == "--":
            continue
        if word.startswith("-") and word != "-":
            kind, value = _flag_value(word, words)
            values.setdefault(kind, []).append(value)
        else:
            (variables if ASSIGNMENT.match(word) else goals).append(word)
    directory = str(Path(*values["C"])) if values["C"] else "."
    makefiles = tuple(values["f"])
    return Asked(goals=tuple(goals), variables=tuple(variables), directory=directory, makefiles=makefiles)


def _flag_value(word: str, following: deque[str]) -> tuple[str, str]:
    """Which flag takes a value here, `C` and `f` by their letters, and the value."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if not equals and name in LONG_VALUES.split() and following:
            value = following.popleft()
        return {"--directory": "C", "--file": "f", "--makefile": "f"}.get(name, name), value
    for at, letter in enumerate(word[1:], start=2):
        if letter in VALUE_LETTERS:
            return letter, word[at:] or (following.popleft() if following else "")
        if letter in NEXT_WORD:
            if not word[at:] and following and re.match(NEXT_WORD[letter], following[0]):
                following.popleft()
            break
    return word, ""


def _split(targets: str) -> list[str]:
    try:
        return shlex.split(targets)
    except ValueError as error:
        raise UsageError(f"`{targets}`: {error}", hint="quote it as for a shell") from error


STOP = "ec2tasks read it all"
LIST = "ec2tasks makefiles:"
LAST_MAKEFILE = f"$(info {LIST} $(MAKEFILE_LIST))\n$(error {STOP})\n"

# What the make around this one tells the one that is only asked.
OF_OUTER_MAKE = ("GNUMAKEFLAGS", "MAKEFLAGS", "MAKELEVEL", "MAKE_TERMERR", "MAKE_TERMOUT", "MFLAGS")
READING_FLAGS = ("-I", "-e", "-r", "-R", "--eval")  # the flags that change what the makefiles say
READING_SECONDS = 60
INCLUDE = re.compile(r"^ *(?:-include|sinclude|include)[ \t]+([^#\n]+)", re.MULTILINE)


def check_targets(targets: str, *, directory: Path, environ: Mapping[str, str] = os.environ) -> Targets:
    """What this folder's own Makefile can make. Raises UsageError for a target that certainly does not exist.

    Runs nothing of the project's. In doubt (rules that fit anything, makefiles yet to be generated, another
    make than GNU's, another folder or makefile asked for) it is anything.
    """
    question = asked(targets)
    if not question.goals:
        return ANYTHING
    folder = directory / question.directory
    makefiles = question.makefiles or _default_makefile(folder)
    flags, variables = carried(environ.get("MAKEFLAGS", ""), jobs=1)
    argv = [
        *(shlex.split(environ.get("MAKE", "")) or ["make"])[:1],
        *("-npq", "-C", str(folder)),
        *(flag for flag in flags if flag.startswith(READING_FLAGS)),
        *(f"--file={name}" for name in (*makefiles, "-")),
        *variables,
        *question.variables,
    ]
    answer = _ask(argv, question.goals, folder, environ)
    found = known_targets(answer)
    if not answer or _may_grow(answer, found, folder):
        return ANYTHING
    unknown = unknown_targets(question.goals, found, lambda name: (folder / name).exists())
    if unknown:
        raise _no_recipe(unknown, found, " ".join(makefiles))
    return ANYTHING if question.makefiles or question.directory != "." else found


def _default_makefile(folder: Path) -> tuple[str]:
    for name in MAKEFILES:
        if (folder / name).is_file():
            return (name,)
    raise UsageError(f"no Makefile in `{folder}`", hint='cd into the project, or: ec2tasks run "COMMAND"')


def _ask(argv: Sequence[str], wanted: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Make's database; empty where it can't be known. Raises UsageError for a Makefile make can't read."""
    answer = _read([*argv, *wanted], environ)
    if answer is None or STOP in answer.stderr:
        return answer.stdout if answer and "# GNU Make" in answer.stdout else ""
    # A Makefile may refuse these very goals here, for want of a GPU for instance, and accept them there.
    plain = _read(argv, environ)
    if plain is None or STOP in plain.stderr or "***" not in plain.stderr:
        return ""
    said = "\n".join(line for line in plain.stderr.splitlines() if line.strip())
    raise UsageError(f"make can't read the Makefile in `{folder}`:\n{said}", hint="see: make -n")


def _read(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str] | None:
    kept = {name: value for name, value in environ.items() if name not in OF_OUTER_MAKE}
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


def _may_grow(answer: str, found: Targets, folder: Path) -> bool:
    """Whether make would first generate a makefile that is included, which may hold more rules."""
    listed = re.search(rf"^{LIST} (.*)$", answer, re.MULTILINE)
    makefiles = (folder / name for name in (listed[1].split() if listed else []))
    texts = (path.read_text("utf-8", errors="replace") for path in makefiles if path.is_file())
    included = (words for text in texts for words in INCLUDE.findall(text.replace("\\\n", " ")))
    return any(_may_be_generated(words, found, folder) for words in included)


def _may_be_generated(words: str, found: Targets, folder: Path) -> bool:
    if "$" in words:
        return not words.startswith("$(wildcard ")
    absent = (word for word in words.split() if not glob.glob(word, root_dir=folder))  # noqa: PTH207
    return any(found.allow(word, lambda _: False) for word in absent)


def _no_recipe(unknown: Sequence[str], found: Targets, makefile: str) -> UsageError:
    names = sorted(name for name in found.names if re.match(r"[^.%/\s]+$", name) and name not in MAKEFILES)
    what = "no recipe " + ", ".join(f"`{name}`" for name in unknown) + f" in {makefile}"
    asked_for = unknown[0].removeprefix(PREFIX)
    near = [asked_for] if asked_for in names else difflib.get_close_matches(asked_for, names)
    if near:
        return UsageError(what, hint="did you mean " + " or ".join(f"`{name}`" for name in near) + "?")
    return UsageError(what, hint=f"it has: {', '.join(names[:12])}" if names else None)
