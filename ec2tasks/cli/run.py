"""The tasks that run something on the instance, come back to it, and tell what ran."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import find_project
from ec2tasks.cli.options import (
    BROWSER_OPTION,
    END_OPTIONS,
    JOB_OPTION,
    JSON_OPTION,
    REACH_OPTIONS,
    RUN_OPTIONS,
    SYNC_OPTIONS,
    Option,
    as_typed,
    is_verbose,
)
from ec2tasks.cli.task import ec2_task, is_dry, make_context, make_settings, show_plan
from ec2tasks.commands import attach as attach_commands
from ec2tasks.commands import history, plan, watch_use
from ec2tasks.commands.make import read_call, say_environment
from ec2tasks.commands.notebook import choose_page, has_display, shown
from ec2tasks.commands.notebook import command as notebook_command
from ec2tasks.commands.preflight import check_run, foretell
from ec2tasks.commands.run import RunRequest
from ec2tasks.commands.run import run as run_command
from ec2tasks.commands.trust import Acts
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.make.database import Targets, unknown_targets


def _run(
    c: Context,
    given: Mapping[str, Any],
    command: str | None,
    targets: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> int:
    if given["detach"] and command is None:
        raise UsageError("a shell can't be detached", hint='`ec2tasks run --detach "COMMAND"`')
    request = _request(given, command, recipe=" ".join(targets), variables=variables or {})
    context = make_context(c, given, targets, acts=_acts_of(given))
    if is_dry(c, given):
        _check_plan(context, request)
        show_plan(plan.run_lines(context, command, sync=request.sync))
        return 0
    return run_command(context, request)


def _acts_of(given: Mapping[str, Any]) -> Acts:
    """What a run acts on: it sends files, or moves none."""
    return Acts.LAUNCH if given["no_rsync"] else Acts.PUSH


def _check_plan(context: CallContext, request: RunRequest) -> None:
    """Refuse what the run itself would refuse, as far as that costs nothing."""
    check_run(context, sync=request.sync)
    foretell(context)


def _request(given: Mapping[str, Any], command: str | None, **more: Any) -> RunRequest:
    sync, verbose = not given["no_rsync"], is_verbose(given)
    return RunRequest(command=command, sync=sync, verbose=verbose, detach=given["detach"], **more)


def _words(text: str, usage: str) -> str:
    """What to run. Raises UsageError where nothing is, or where Invoke took an unknown option for it."""
    if not text.strip():
        raise UsageError("there is nothing to run", hint=usage)
    if re.fullmatch(r"--?[A-Za-z][\w-]*", text):
        known = [as_typed(name) for option in RUN_OPTIONS for name in option.names]
        near = difflib.get_close_matches(text, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`ec2tasks TASK --help` lists the options"
        raise UsageError(f"no option `{text}`", hint=hint)
    return text


@ec2_task(Option(names=("command",), positional=True, help="the command, as one text"), *RUN_OPTIONS)
def run(c: Context, given: Mapping[str, Any]) -> int:
    """Run a command in the project's folder on the instance: up, push, run, pull, end of life.

    The command is one text, as bash reads it: `ec2tasks run "make eval | tee log"`. Ends with the
    command's own exit code: 128 + n where signal n ended it, 130 after Ctrl-C, 125 where ec2tasks failed.
    """
    command = _words(given["command"], '`ec2tasks run "COMMAND"`, or `ec2tasks shell`')
    return _run(c, given, command)


@ec2_task(
    Option(names=("targets",), positional=True, help="the target, or several as one text"),
    *RUN_OPTIONS,
    name="make",
)
def make_(c: Context, given: Mapping[str, Any]) -> int:
    """Run targets of the project's Makefile on the instance, as `make on-ec2-TARGET` does.

    Called by make, it carries over that make's flags and command-line variables. A target that the
    Makefile does not have is refused before anything is launched; one that is up to date here needs no
    instance.
    """
    targets = _words(given["targets"], '`ec2tasks make "TARGET…"`')
    call = read_call(targets, Path.cwd())
    if call.done is not None:
        return _say_up_to_date(call.done, ends=given["stop"] or given["terminate"])
    settings = make_settings(c, given, call.goals)
    _warn_of_unknown_recipes(settings.recipes, call.known)
    say_environment(call.environment, forwarded=settings.forward_env)
    return _run(c, given, call.command, call.goals, call.environment.carried)


def _say_up_to_date(words: str, *, ends: bool) -> int:
    """Say what make says; whoever asked for an end of life is told that none was applied."""
    for line in words.splitlines():
        output.data(line)
    if ends:
        output.hint("no instance was needed; `ec2tasks down` ends one that still runs")
    return 0


def _warn_of_unknown_recipes(recipes: Iterable[str], known: Targets) -> None:
    """Say which recipes of the settings the Makefile lacks: by a slip in the name they never count."""
    if find_project(Path.cwd()).below != Path():
        return  # the Makefile of a folder below; they may be for another
    for name in unknown_targets(list(recipes), known, lambda name: Path(name).exists()):
        near = difflib.get_close_matches(name, known.names, n=1)
        output.warning(
            f"recipes: the Makefile has no `{name}`, so what stands there never counts",
            hint=f"did you mean `{near[0]}`?" if near else None,
        )


@ec2_task(*RUN_OPTIONS)
def shell(c: Context, given: Mapping[str, Any]) -> int:
    """Open a shell in the project's folder on the instance; afterwards pull and end of life as for `run`."""
    return _run(c, given, None)


@ec2_task(BROWSER_OPTION, *RUN_OPTIONS)
def notebook(c: Context, given: Mapping[str, Any]) -> int:
    """Run Jupyter in the project's folder on the instance, its page in the browser here; Ctrl-C ends it.

    The page is at port 8888 here, or at the next one that is free; `-L 9999:localhost:8888` takes another.
    Afterwards pull and end of life as for `run`.
    """
    if given["detach"]:
        raise UsageError("a notebook can't be detached: its port here is open as long as the run")
    context = make_context(c, given, acts=_acts_of(given))
    page = choose_page(context.settings.ports)
    ports = tuple(dict.fromkeys((*context.settings.ports, page.forward)))
    context = replace(context, settings=replace(context.settings, ports=ports))
    beside = partial(shown, page, browser=not given["no_browser"] and has_display())
    request = _request(
        given, notebook_command(page), recipe="notebook", variables=page.variables, beside=beside
    )
    if is_dry(c, given):
        _check_plan(context, request)
        show_plan(plan.run_lines(context, f"Jupyter, its page at {page.site}", sync=request.sync))
        return 0
    return run_command(context, request)


@ec2_task(
    JOB_OPTION,
    Option(names=("all",), kind=bool, help="its output from its start, not from where it was left here"),
    *REACH_OPTIONS,
)
def attach(c: Context, given: Mapping[str, Any]) -> int:
    """Come back to a command that runs on the instance: its terminal, or what it prints: `attach [JOB]`.

    What it prints goes on from where it was left on this machine; on another one it begins at its start.
    Ctrl-C is for the command, a second one leaves it; so do, in a multiplexer, its own keys (Ctrl-B d in
    tmux, Ctrl-A d in screen). Ends with the command's exit code if it ends meanwhile. In `inv` the job is
    named by --job.
    """
    context = make_context(c, given, acts=Acts.ATTACH)
    return attach_commands.attach(context, given["job"] or "", whole=given["all"])


@ec2_task(JOB_OPTION, *END_OPTIONS, *SYNC_OPTIONS, *REACH_OPTIONS)
def finish(c: Context, given: Mapping[str, Any]) -> int:
    """Attach, wait for the command's end, pull, then the end of life: `finish [JOB]`.

    Of what it prints, only what has not been shown on this machine yet is shown.
    The end of life is the one asked for last: now, by a later session, or when the command was started. In
    `inv` the job is named by --job.
    """
    verbose, job = is_verbose(given), given["job"] or ""
    context = make_context(c, given, acts=Acts.ATTACH)
    return attach_commands.finish(context, job, fetches=not given["no_rsync"], verbose=verbose)


@ec2_task(JSON_OPTION, *REACH_OPTIONS)
def jobs(c: Context, given: Mapping[str, Any]) -> None:
    """List what ran and runs on the instance: job, state, exit code, times, command.

    Nothing is launched or started for it. `lost` is what a restart of the instance ended, or
    what was killed with the process that kept it.
    """
    listed = history.all_jobs(make_context(c, given, acts=Acts.LOOK))
    if given["json"]:
        output.json([history.job_json(job) for job in listed])
    elif listed:
        output.table(history.table_rows(listed))
    else:
        output.step("nothing has run on the instance yet")


@ec2_task(
    JOB_OPTION,
    Option(names=("follow", "f"), kind=bool, help="show what is still to come, until its end"),
    *REACH_OPTIONS,
)
def logs(c: Context, given: Mapping[str, Any]) -> None:
    """Show the output of a job on the instance, the newest if none is named: `logs [-f] [JOB]`.

    Nothing is launched or started for it, and Ctrl-C ends only the looking. In `inv` it is named by --job.
    """
    context = make_context(c, given, acts=Acts.LOOK)
    history.show_output(context, given["job"] or "", follow=given["follow"])


@ec2_task(
    JOB_OPTION,
    Option(names=("follow", "f"), kind=bool, help="again and again, until its end"),
    JSON_OPTION,
    *REACH_OPTIONS,
)
def use(c: Context, given: Mapping[str, Any]) -> None:
    """Show what a job uses of its machine, the newest if none is named: `use [-f] [JOB]`.

    Processors, memory, disk, network and each GPU, sampled there every 10 s: on a terminal as curves; with
    `-f` elsewhere a line for each sample. A GPU's utilisation is the share of the time in which anything ran
    on it: beside its power, that tells more. Nothing is launched or started for it: of an instance that is
    gone, it shows what was kept here. In `inv` the job is named by --job.
    """
    context = make_context(c, given, acts=Acts.LOOK)
    watch_use.show_use(context, given["job"] or "", follow=given["follow"], as_json=given["json"])
