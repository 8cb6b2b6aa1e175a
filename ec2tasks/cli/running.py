"""What `run`, `make`, `shell` and `notebook` do: from their options to a request, which is run or planned."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import find_project
from ec2tasks.cli.context import is_dry, make_context, make_settings, show_plan
from ec2tasks.cli.options import RUN_OPTIONS, as_typed, is_verbose
from ec2tasks.commands.preflight import check_run, foretell
from ec2tasks.commands.run import RunRequest, run
from ec2tasks.commands.trust import Acts
from ec2tasks.config.schema import closest
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.make.database import Targets, unknown_targets


def run_command(c: Context, given: Mapping[str, Any]) -> int:
    """Run the words of `run`; their exit code."""
    command = _words(given["command"], '`ec2tasks run "COMMAND"`, or `ec2tasks shell`')
    return _done(c, given, _request(given, command))


def run_targets(c: Context, given: Mapping[str, Any]) -> int:
    """Run the targets of `make`, or say that they are up to date; the exit code."""
    from ec2tasks.commands.make import SWEEP, read_call, say_environment  # reads Makefiles: for make alone

    targets = _words(given["targets"], '`ec2tasks make "TARGET…"`')
    call = read_call(targets, Path.cwd())
    if call.done is not None:
        return _say_up_to_date(call.done, ends=given["stop"] or given["terminate"])
    settings = make_settings(c, given, call.goals)
    _warn_of_unknown_recipes(settings.recipes, call.known)
    say_environment(call.environment, forwarded=settings.forward_env)
    recipe, variables = " ".join(call.goals), call.environment.carried
    sweep = os.environ.get(SWEEP, "")
    request = _request(given, call.command, recipe=recipe, sweep=sweep, variables=variables)
    return _done(c, given, request, call.goals)


def run_shell(c: Context, given: Mapping[str, Any]) -> int:
    """Run a login shell; its exit code."""
    if given["detach"]:
        raise UsageError("a shell can't be detached", hint='`ec2tasks run --detach "COMMAND"`')
    return _done(c, given, _request(given, None))


def run_notebook(c: Context, given: Mapping[str, Any]) -> int:
    """Run Jupyter, or join the one that runs, its page here; its exit code."""
    from ec2tasks.commands.notebook import notebook  # no other task has a page
    from ec2tasks.commands.notebook_page import has_display

    context = make_context(c, given, acts=_acts_of(given))
    request = _request(given, None)
    if is_dry(c, given):
        return _plan(context, request, "Jupyter, its page in the browser here")
    return notebook(context, request, browser=not given["no_browser"] and has_display())


def _done(c: Context, given: Mapping[str, Any], request: RunRequest, targets: Sequence[str] = ()) -> int:
    """Run the request, or show its plan where only that is wanted; the exit code."""
    size = None if given.get("machines") is None else _pool_size(given)
    context = make_context(c, given, targets, acts=_acts_of(given))
    if is_dry(c, given):
        return _plan(context, request, request.command)
    if size is None:
        return run(context, request)
    from ec2tasks.commands.pooled import run_on_pool  # no run on the project's own instance waits for it

    return run_on_pool(context, request, size)


def _pool_size(given: Mapping[str, Any]) -> int | None:
    from ec2tasks.cli.machines import machines_of

    return machines_of(given)


def _plan(context: CallContext, request: RunRequest, what: str | None) -> int:
    """Show what would be done; refuse what the run itself would refuse, as far as that costs nothing."""
    from ec2tasks.commands.plan import run_lines  # no run waits for it

    check_run(context, sync=request.sync)
    foretell(context)
    show_plan(run_lines(context, what, sync=request.sync))
    return 0


def _acts_of(given: Mapping[str, Any]) -> Acts:
    """What a run acts on: it sends files, or moves none."""
    return Acts.LAUNCH if given["no_rsync"] else Acts.PUSH


def _request(given: Mapping[str, Any], command: str | None, **more: Any) -> RunRequest:
    sync, verbose = not given["no_rsync"], is_verbose(given)
    return RunRequest(command=command, sync=sync, verbose=verbose, detach=given["detach"], **more)


def _words(text: str, usage: str) -> str:
    """What to run. Raises UsageError where nothing is, or where Invoke took an unknown option for it."""
    if not text.strip():
        raise UsageError("there is nothing to run", hint=usage)
    if re.fullmatch(r"--?[A-Za-z][\w-]*", text):
        near = closest(text, (as_typed(name) for option in RUN_OPTIONS for name in option.names))
        hint = f"did you mean `{near}`?" if near else "`ec2tasks TASK --help` lists the options"
        raise UsageError(f"no option `{text}`", hint=hint)
    return text


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
        near = closest(name, known.names)
        output.warning(
            f"recipes: the Makefile has no `{name}`, so what stands there never counts",
            hint=f"did you mean `{near}`?" if near else None,
        )
