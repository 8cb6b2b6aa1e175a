"""What `ec2tasks make --each` does: the options of its call, handed on to a call for each variant."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.cli.context import is_dry, make_context, show_plan
from ec2tasks.cli.machines import machines_of
from ec2tasks.cli.options import END_OPTIONS, PLAN_OPTIONS, REACH_OPTIONS, RUN_OPTIONS, option_words
from ec2tasks.commands.sweep import SweepRequest, sweep
from ec2tasks.commands.trust import Acts
from ec2tasks.commands.variants import Variants, read_variants
from ec2tasks.config.settings import Settings
from ec2tasks.make.caller import call_above

# What each run is not given: the machine's end is the sweep's to decide.
NOT_FOR_RUNS = (*(option.names[0] for option in END_OPTIONS), "default_end", "dry")
HANDED_ON = tuple(option for option in RUN_OPTIONS if option.names[0] not in NOT_FOR_RUNS)
FOR_DOWN = tuple(
    option for option in (*REACH_OPTIONS, *PLAN_OPTIONS) if option.names[0] not in ("name", "dry")
)


def run_sweep(c: Context, given: Mapping[str, Any]) -> int:
    """Run each prerequisite of the targets that is not up to date; the exit code of the sweep."""
    if given["detach"]:
        raise UsageError(
            "a sweep can't be detached: it waits here for machines that are free",
            hint="in tmux here it goes on while you are away",
        )
    asked, variants = machines_of(given), read_variants(given["targets"], Path.cwd())
    count = len(variants.due) + len(variants.done)
    if not variants.due:
        output.step(f"all {count} are up to date: nothing to run")
        return 0
    machines = min(len(variants.due), asked or by_jobs(variants.jobs, len(variants.due)))
    context = make_context(c, given, variants.goals, acts=Acts.PUSH)
    _say_plan(variants, machines, context.settings)
    if is_dry(c, given):
        show_plan([f"run `make {variants.targets(variant)}` on one of them" for variant in variants.due])
        return 0
    again = call_above() or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return sweep(context, _request(c, given, variants, machines, again))


def by_jobs(jobs: int | None, due: int) -> int:
    """How many machines the number of -j asks for, where so many are due. Raises UsageError for none."""
    if jobs == 0 and due > 1:
        raise UsageError(
            f"-j without a number would take {due} machines at once",
            hint="make -j4, or EC2_MACHINES=4, takes four at once",
        )
    return jobs or 1


def _say_plan(variants: Variants, machines: int, settings: Settings) -> None:
    """Say how many variants are to run, on which machines."""
    count = len(variants.due) + len(variants.done)
    names = f"{settings.name}-1" + (f" … {settings.name}-{machines}" if machines > 1 else "")
    output.step(f"{len(variants.due)} of {count} are not up to date; at most {machines} at once, on {names}")
    if machines == 1 and len(variants.due) > 1:
        output.hint("make -j4, or EC2_MACHINES=4, runs four at once")


def _request(
    c: Context, given: Mapping[str, Any], variants: Variants, machines: int, again: str
) -> SweepRequest:
    ec2tasks = [sys.executable, "-m", "ec2tasks"]
    echo = ["--echo"] if c.config.run.echo and not given["echo"] else []
    options = [*option_words(HANDED_ON, given), *echo]

    def run_argv(variant: str) -> list[str]:
        words = ["--leave", f"--machines={machines}", *options, variants.targets(variant)]
        return [*ec2tasks, "make", *words]

    def down_argv(machine: str, final_state: FinalState) -> list[str]:
        words = [f"--name={machine}", f"--{final_state.value}", *option_words(FOR_DOWN, given)]
        return [*ec2tasks, "down", *words]

    return SweepRequest(
        due=variants.due,
        machines=machines,
        keeps_going=variants.keeps_going,
        again=again,
        run_argv=run_argv,
        down_argv=down_argv,
    )
