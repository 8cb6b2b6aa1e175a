"""The words after `make`, as make reads them: goals, variables, the folder and makefiles asked for. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.make.flags import NEXT_WORD, next_word_value, split_words

ASSIGNMENT = re.compile(r"[^-:#=\s][^:#=\s]*\s*[:+?!]*=", re.DOTALL)
# Flags with a value, in the same word or else in the next one.
VALUE_LETTERS = "CEIWfo"
LONG_VALUES = (
    "--assume-new --assume-old --directory --eval --file --include-dir --makefile --new-file --old-file"
    " --what-if"
)


# What each long flag is called in one letter, of those that are looked at.
SHORT = {
    "--directory": "C",
    "--file": "f",
    "--makefile": "f",
    "--jobs": "j",
    "--load-average": "l",
    "--max-load": "l",
    **dict.fromkeys(("--what-if", "--new-file", "--assume-new"), "W"),
    **dict.fromkeys(("--old-file", "--assume-old"), "o"),
}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The words after `make`: its goals, its variables, and the folder (-C) and makefiles (-f) asked for.

    `flags` are all flags with their values, in order, by one letter where SHORT knows it.
    """

    goals: tuple[str, ...]
    variables: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]

    @property
    def directory(self) -> str:
        """The folder that make works in, below the one it is called in."""
        return str(Path(*self.values("C")))

    @property
    def makefiles(self) -> tuple[str, ...]:
        """The makefiles that are named."""
        return self.values("f")

    def values(self, letter: str) -> tuple[str, ...]:
        """The values of a flag, in order."""
        return tuple(value for flag, value in self.flags if flag == letter)


def parse_arguments(targets: str) -> Arguments:
    """Tell the goals from the flags and the variables in make's words as one text, as a shell splits it."""
    return parse_words(split_words(targets))


def parse_words(words: Sequence[str]) -> Arguments:
    """Tell the goals from the flags and the variables among make's words, as make reads them."""
    left = deque(words)
    goals: list[str] = []
    variables: list[str] = []
    flags: list[tuple[str, str]] = []
    while left:
        word = left.popleft()
        if word == "--":
            continue
        if word.startswith("-") and word != "-":
            flags.extend(_long_flag(word, left) if word.startswith("--") else _short_flags(word, left))
        else:
            (variables if ASSIGNMENT.match(word) else goals).append(word)
    return Arguments(goals=tuple(goals), variables=tuple(variables), flags=tuple(flags))


def _long_flag(word: str, following: deque[str]) -> Iterator[tuple[str, str]]:
    """A flag such as `--file`, and its value, which may be the next word."""
    name, equals, value = word.partition("=")
    if not equals and name in LONG_VALUES.split() and following:
        value = following.popleft()
    yield SHORT.get(name, name), value


def _short_flags(word: str, following: deque[str]) -> Iterator[tuple[str, str]]:
    """Each flag of a word such as `-kf`; the last may have a value, in the same word or the next one."""
    for at, letter in enumerate(word[1:], start=2):
        if letter in VALUE_LETTERS:
            yield letter, word[at:] or (following.popleft() if following else "")
            return
        if letter in NEXT_WORD:
            yield letter, word[at:] or next_word_value(letter, following)
            return
        yield letter, ""
