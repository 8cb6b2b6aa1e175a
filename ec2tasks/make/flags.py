"""make's own flags and variables, as MAKEFLAGS tells them, handed on to the make on the instance. Pure.

The local make tells its recipes its flags and variables in `MAKEFLAGS`
(https://www.gnu.org/software/make/manual/html_node/Options_002fRecursion.html), in three dialects:

    4.x   `k -j4 --jobserver-auth=3,4 -- EPOCHS=3`, the jobserver also as `fifo:/tmp/GMfifo123` since 4.4
    3.81  `kI mk --jobserver-fds=3,4 -j -- EPOCHS=3`: values are words of their own, the number of jobs
          is lost; and `EPOCHS=3` alone, without `--`, when there is no flag

It never tells them `-C`, `-f`, `-o` and `-W`, nor the variables under `-e` (a literal `$(MAKEOVERRIDES)`
stands there) and where a Makefile empties `MAKEOVERRIDES`: then Makefile.inc hands them on as words.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import deque
from typing import TYPE_CHECKING

from ec2tasks.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# -n, -q and -t belong to this make alone; -w would name the folder there after this make named the one here.
LOCAL_LETTERS = "nqtw"
JOBSERVER_FLAGS = ("--jobserver-auth", "--jobserver-fds")
LOCAL_FLAGS = (*JOBSERVER_FLAGS, "--jobserver-style", "--print-directory")
# What Makefile.inc itself reads; any other name is the project's, whatever it begins with.
OWN_VARIABLES = (
    *("EC2_FINAL_STATE", "EC2_TYPE", "EC2_ENV", "EC2_PORTS", "EC2_MACHINES", "EC2_FLAGS", "EC2TASKS"),
)
VARIABLE_TO_PASS = re.compile(rf"(?!(?:{'|'.join(OWN_VARIABLES)})\s*[:+?!]*=)[^:#=\s]+\s*[:+?!]*=")
# Flags that may have a value: in the same word or, where the next word has the form given here, in that one.
NEXT_WORD = {"I": r"", "O": r"(?!)", "j": r"\d+$", "l": r"[\d.]+$"}


def make_argv(
    targets: str, *, makeflags: str = "", jobs: int | None = None, width: Collection[str] = "jl"
) -> list[str]:
    """Build the call of make on the instance that does what this make was asked to do here.

    `targets` is split as a shell would; its flags and NAME=value words stay as they are. `makeflags` is
    the environment's MAKEFLAGS. `jobs` (default: this machine's cores) stands in for the number of `-j`
    where an old make does not tell it. `width`: those of -j and -l that go along; one that the Makefile sets
    is worked out there anew. Raises UsageError for targets that no shell could split.
    """
    flags, variables = parse_makeflags(makeflags, jobs=jobs or os.cpu_count() or 1)
    words = split_words(targets)
    return [
        "make",
        *(flag for flag in flags if flag[1] not in "jl" or flag[1] in width),
        *(variable for variable in variables if variable not in words),
        *words,
    ]


def parse_makeflags(makeflags: str, *, jobs: int) -> tuple[list[str], list[str]]:
    """The flags, and the NAME=value words, of a MAKEFLAGS that the make on the instance gets too.

    Each is one word, unescaped. `jobs` as for `make_argv`.
    """
    words = deque(_unescaped_words(makeflags))
    if words and not words[0].startswith("-") and "=" not in words[0]:
        words[0] = f"-{words[0]}"
    flags: list[str] = []
    variables: list[str] = []
    has_jobserver = False
    while words:
        word = words.popleft()
        if word == "--":
            variables.extend(words)
            break
        if word.startswith("--"):
            has_jobserver = has_jobserver or word.startswith(JOBSERVER_FLAGS)
            flags.extend([] if word.startswith(LOCAL_FLAGS) else [word])
        elif word.startswith("-"):
            flags.extend(_short_flags(word[1:], words))
        else:
            variables.append(word)
    # A bare -j is unlimited, but with a jobserver some number was given.
    flags = [f"-j{jobs}" if flag == "-j" and has_jobserver else flag for flag in flags]
    # make lists its variables last to first.
    return flags, [word for word in reversed(variables) if VARIABLE_TO_PASS.match(word)]


def _unescaped_words(makeflags: str) -> list[str]:
    """Undo make's quoting: blanks and backslashes behind a backslash, dollars doubled."""
    words = re.findall(r"(?:\\.|[^ \t\\]|\\$)+", makeflags, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("$$", "$") for word in words]


def _short_flags(letters: str, following: deque[str]) -> Iterator[str]:
    """Each flag of a word such as `kj4` alone; a value may be the next word, as 3.81 writes it."""
    for at, letter in enumerate(letters):
        if letter in NEXT_WORD:
            value = letters[at + 1 :] or next_word_value(letter, following)
            yield f"-{letter}{value}"
            return
        if letter not in LOCAL_LETTERS:
            yield f"-{letter}"


def next_word_value(letter: str, following: deque[str]) -> str:
    """Take from the following words the value of a flag that may have one; empty where they hold none."""
    return following.popleft() if following and re.match(NEXT_WORD[letter], following[0]) else ""


def split_words(targets: str) -> list[str]:
    """Split make's words as a shell would. Raises UsageError where no shell could."""
    try:
        return shlex.split(targets)
    except ValueError as error:
        raise UsageError(f"`{targets}`: {error}", hint="quote it as for a shell") from error
