"""Completion for bash, zsh and fish: the shell hands over what is typed, and gets what may be meant.

Nothing is run and nobody is asked for it, neither make nor AWS; what goes wrong offers nothing.
The shells' own part stands beside this in files of theirs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from invoke.collection import Collection
from invoke.parser.argument import Argument

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.cli.typed_words import flags, options_end

SHELLS = ("bash", "zsh", "fish")
JOBS = 50  # that are offered, the newest first
Names = Callable[[str], Iterable[str]]


def print_script(shell: str) -> None:
    """Print what a shell reads to complete words. Raises UsageError for another shell."""
    if shell not in SHELLS:
        raise UsageError(f"no completion for `{shell}`", hint=f"it is there for {', '.join(SHELLS)}")
    script = resources.files("ec2tasks").joinpath("cli", f"completion.{shell}")
    output.document(script.read_text(encoding="utf-8").rstrip("\n"))


def typed(argv: Sequence[str]) -> list[str]:
    """The words behind the program's name, the last one begun, as the shell gives them behind `--`."""
    words = argv[argv.index("--") + 1 :] if "--" in argv else []
    line = words[0].split(" ") if len(words) == 1 else list(words)
    return line[1:] or [""]


def answer(words: Sequence[str], namespace: Collection, core: Mapping[str, Argument]) -> None:
    """Print what may be meant by the last of these words, a line each; nothing where that can't be told."""
    with contextlib.suppress(Exception):
        for one in meant(words, namespace, core):
            output.data(one)


def meant(words: Sequence[str], namespace: Collection, core: Mapping[str, Argument]) -> list[str]:
    """What may be meant by the last of these words: a task, an option, its value."""
    start = options_end(words[:-1], core)
    if start >= len(words) - 1:
        return _beginning(words, core, lambda: namespace.task_names)
    task, rest = namespace[words[start]], words[start + 1 :]
    known = flags(task.get_arguments())
    place = next((str(one.name) for one in task.get_arguments() if one.positional), "job")
    first = options_end(rest[:-1], {**core, **known}) >= len(rest) - 1
    fits = first and f"--{place}" in known
    return _beginning(rest, known, lambda: names_of(place, rest[-1]) if fits else ())


def _beginning(
    words: Sequence[str], known: Mapping[str, Argument], others: Callable[[], Iterable[str]]
) -> list[str]:
    """What begins as the last of the words does: options, an option's value, or of the others."""
    option, word, before = _asked(words)
    argument = known.get(option)
    if argument and argument.takes_value:
        found = names_of(str(argument.attr_name or argument.name).replace("_", "-"), word)
    elif word.startswith("-"):
        found = (name for name in known if word == "-" or name.startswith("--"))
    else:
        found = others()
    return [before + name for name in found if name.startswith(word)]


def _asked(words: Sequence[str]) -> tuple[str, str, str]:
    """The option before the last word, that word, what of it stays: bash makes three of `--type=g4`."""
    *earlier, last = words
    if last == "=" and earlier:
        return earlier[-1], "", ""
    if len(earlier) > 1 and earlier[-1] == "=":
        return earlier[-2], last, ""
    option, equals, value = last.partition("=")
    if equals and option.startswith("--"):
        return option, value, f"{option}="
    return (earlier[-1] if earlier else ""), last, ""


def names_of(what: str, word: str = "") -> Iterable[str]:
    """The names that an option or an argument may have, from what lies on this machine alone."""
    return NAMES[what](word) if what in NAMES else ()


def _targets(_: str) -> Iterable[str]:
    from ec2tasks.make.database import PREFIX
    from ec2tasks.make.names import written_targets

    return (name for name in written_targets(Path.cwd()) if not name.startswith(PREFIX))


def _jobs(word: str) -> Iterable[str]:
    """By their short forms, as `runs` and `jobs` list them; by their ids too, once something is typed."""
    from ec2tasks.base.project import find_project
    from ec2tasks.records.reading import read
    from ec2tasks.remote.job_name import Named, short_forms

    runs = read(find_project(Path.cwd()).root).runs[:JOBS]
    known = short_forms([Named(job_id=run.job) for run in runs])
    return [*known.values(), *(known if word else ())]


def _types(word: str) -> Iterable[str]:
    """All that begin so; the default ones where nothing is typed yet, of over a thousand."""
    from ec2tasks.aws.known_names import instance_types
    from ec2tasks.config.schema import KEYS_BY_NAME

    default: tuple[str, ...] = KEYS_BY_NAME["instance_type"].default
    before, comma, last = word.rpartition(",")
    return [f"{before}{comma}{name}" for name in (instance_types() if last else default)]


def _regions(_: str) -> Iterable[str]:
    from ec2tasks.aws.known_names import regions

    return regions()


NAMES: Mapping[str, Names] = {
    "targets": _targets,
    "job": _jobs,
    "type": _types,
    "only-type": _types,
    "region": _regions,
    "only-region": _regions,
    "multi": lambda _: ("tmux", "screen", "none"),
    "default-end": lambda _: ("leave", "stop", "terminate"),
    "print-completion-script": lambda _: SHELLS,
}
