"""The words after `make`, as make reads them: goals, variables, the folder and makefiles asked for. Pure."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.make.flags import NEXT_WORD, next_word_value, split_words

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
