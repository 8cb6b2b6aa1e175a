"""The words of a command line as Invoke's parser takes them: options, with the values that stand apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from invoke.parser.argument import Argument


def flags(arguments: Iterable[Argument]) -> dict[str, Argument]:
    """These arguments of Invoke's by the words that give them."""
    return {
        f"{'--' if len(name) > 1 else '-'}{name}": argument
        for argument in arguments
        for name in argument.names
    }


def options_end(words: Sequence[str], known: Mapping[str, Argument]) -> int:
    """How many of these words are options, with the values that stand apart from them."""
    end = 0
    while end < len(words) and words[end].startswith("-") and words[end] != "--":
        end += 2 if _takes_next(words[end], known) else 1
    return min(end, len(words))


def _takes_next(word: str, known: Mapping[str, Argument]) -> bool:
    """Whether an option's value is the word after it: `-L 8888`, `-sL 8888`; not `--type=X`, `-L8888`."""
    if "=" in word:
        return False
    if not word.startswith("--") and len(word) > 2:
        first = known.get(word[:2])
        if first is not None and first.takes_value:
            return False
        word = f"-{word[-1]}"
    flag = known.get(word)
    return flag is not None and flag.takes_value
