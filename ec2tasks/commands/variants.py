"""The variants of a sweep: a target's prerequisites by make's own database, and which of them are due."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import find_project
from ec2tasks.make.arguments import Arguments, parse_arguments
from ec2tasks.make.caller import find_typed, with_typed
from ec2tasks.make.database import prerequisites
from ec2tasks.make.flags import parse_makeflags
from ec2tasks.make.goals import check_targets
from ec2tasks.make.outside import check_inside
from ec2tasks.make.reading import Reading, read_makefile
from ec2tasks.make.up_to_date import up_to_date

AT_ONCE = 4  # makes that are asked at the same time
WIDTH = ("j", "--jobs", "l")  # flags that say how many machines there are, not what each is to do


@dataclass(frozen=True, kw_only=True)
class Variants:
    """The variants of a sweep: those `due`, those `done` already; make's words that go with each.

    `jobs`: how many may run at once by make's -j; None where there is none, 0 for any number. `keeps_going`:
    as make's -k.
    """

    goals: tuple[str, ...]
    due: tuple[str, ...]
    done: tuple[str, ...]
    words: tuple[str, ...]
    jobs: int | None
    keeps_going: bool

    def targets(self, variant: str) -> str:
        """The words for make that make this variant alone."""
        return shlex.join([variant, *self.words])


def read_variants(targets: str, directory: Path, environ: Mapping[str, str] = os.environ) -> Variants:
    """The variants of the sweep that these words for make name.

    Raises UsageError where the Makefile has no such target, or one without prerequisites.
    """
    above = find_typed(environ)
    reading = read_makefile(with_typed(targets, above), directory=directory, environ=environ)
    check_inside(reading, find_project(directory).root)
    check_targets(reading)
    goals = reading.arguments.goals
    if not goals:
        raise UsageError("there is nothing to run", hint="`ec2tasks make --each TARGET`")
    variants = tuple(dict.fromkeys(one for goal in goals for one in _variants_of(reading, goal)))
    words = tuple(own_words(parse_arguments(targets)))
    due = _due(variants, words, reading, directory, environ)
    # An old make tells no number. What the Makefile sets is for this machine's processors.
    flags, _ = parse_makeflags(environ.get("MAKEFLAGS", ""), jobs=above.jobs or 1)
    flags = [flag for flag in flags if flag[1] != "j" or "j" in above.width]
    typed = [f"-{flag}{value}" for flag, value in reading.arguments.flags]
    return Variants(
        goals=goals,
        due=due,
        done=tuple(variant for variant in variants if variant not in due),
        words=words,
        jobs=jobs_of([*flags, *typed]),
        keeps_going=bool({"-k", "--keep-going", "---keep-going"}.intersection((*flags, *typed))),
    )


def _variants_of(reading: Reading, goal: str) -> tuple[str, ...]:
    found = prerequisites(reading.database, goal)
    if not found:
        raise UsageError(
            f"`{goal}` has no prerequisites in {' '.join(reading.makefiles)}: there is nothing to run",
            hint=f"a sweep has some, as `sweep: out/1.json out/2.json`; `make on-ec2-{goal}` runs it as one",
        )
    return found


def _due(
    variants: Sequence[str],
    words: Sequence[str],
    reading: Reading,
    directory: Path,
    environ: Mapping[str, str],
) -> tuple[str, ...]:
    """Those of the variants that make has something to do for."""
    ask = partial(up_to_date, reading=reading, directory=directory, environ=environ)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(ask, [shlex.join([variant, *words]) for variant in variants])
    return tuple(variant for variant, said in zip(variants, answers, strict=True) if said is None)


def own_words(arguments: Arguments) -> list[str]:
    """Make's words without its goals, and without how many may run at once. Pure."""
    flags = [(flag, value) for flag, value in arguments.flags if flag not in WIDTH]
    short = [f"-{flag}{value}" for flag, value in flags if len(flag) == 1]
    long = [f"{flag}={value}" if value else flag for flag, value in flags if len(flag) > 1]
    return [*short, *long, *arguments.variables]


def jobs_of(flags: Sequence[str]) -> int | None:
    """How many may run at once by make's last -j; None where there is none, 0 for any number. Pure."""
    numbers = [flag[2:] for flag in flags if flag.startswith("-j")]
    if not numbers:
        return None
    return int(numbers[-1]) if numbers[-1].isdecimal() else 0
