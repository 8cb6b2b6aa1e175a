"""What `ec2tasks make` runs: make's call there, from what make was asked here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.project import find_project
from ec2tasks.make.caller import Typed, find_typed, with_typed
from ec2tasks.make.database import Targets
from ec2tasks.make.environment import Environment, carried_variables
from ec2tasks.make.flags import make_argv, parse_makeflags
from ec2tasks.make.goals import check_targets
from ec2tasks.make.outside import check_inside
from ec2tasks.make.reading import Reading, read_makefile
from ec2tasks.make.up_to_date import up_to_date

SWEEP = "EC2TASKS_SWEEP"  # set for a run that is one of a sweep's: the sweep's id


@dataclass(frozen=True, kw_only=True)
class MakeCall:
    """Make's call on the instance, and what is known of its targets here.

    `done` are make's own words where there is nothing to do for them.
    """

    command: str
    goals: tuple[str, ...]
    known: Targets
    environment: Environment
    done: str | None


def read_call(targets: str, directory: Path, environ: Mapping[str, str] = os.environ) -> MakeCall:
    """The call of make there for these words. Raises UsageError for what can't be made there."""
    typed = find_typed(environ)
    targets = with_typed(targets, typed)
    reading = read_makefile(targets, directory=directory, environ=environ)
    check_inside(reading, find_project(directory).root)
    known = check_targets(reading)
    makeflags = environ.get("MAKEFLAGS", "")
    width = typed.width if SWEEP not in environ else ()  # of a sweep, -j says how many machines there are
    return MakeCall(
        command=shlex.join(make_argv(targets, makeflags=makeflags, width=width)),
        goals=reading.arguments.goals,
        known=known,
        environment=_environment(reading, typed, environ),
        done=up_to_date(targets, reading, directory=directory, environ=environ),
    )


def _environment(reading: Reading, typed: Typed, environ: Mapping[str, str]) -> Environment:
    flags, _ = parse_makeflags(environ.get("MAKEFLAGS", ""), jobs=1)
    typed_flags = {flag for flag, _ in reading.arguments.flags}
    overrides = "-e" in flags or not typed_flags.isdisjoint(("e", "--environment-overrides"))
    return carried_variables(reading, environ, given=typed.environ, overrides=overrides)


def say_environment(environment: Environment, *, forwarded: Collection[str]) -> None:
    """Say which variables go along for the Makefile's sake, and which stay; those `forwarded` go anyway."""
    carried = [name for name in environment.carried if name not in forwarded]
    if carried:
        output.step(f"from your environment, where the Makefile only has a default: {', '.join(carried)}")
    left = [name for name in environment.left if name not in forwarded]
    if left:
        # AWS's own are handed on by nothing.
        may_go = [name for name in left if not name.startswith("AWS_")]
        stay = "stays" if len(left) == 1 else "stay"
        hint = f"`forward_env: [{', '.join(may_go)}]` in ec2.yaml hands on what is meant to go"
        output.warning(
            f"{', '.join(left)} of your environment may hold credentials and {stay} here",
            hint=hint if may_go else None,
        )
