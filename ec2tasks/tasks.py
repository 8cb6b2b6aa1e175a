"""The tasks: each reads its options, then says in a line or two which stages it is."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context

from ec2tasks import instance as instances
from ec2tasks import plan, report, workflow
from ec2tasks.access import Host, connection
from ec2tasks.admin_tasks import ns as admin
from ec2tasks.arrival import Arrival, Call, arrive, check_here, find
from ec2tasks.aws import Aws
from ec2tasks.edge import ec2_task, is_dry, make_call, make_settings, translated
from ec2tasks.ending import Ending
from ec2tasks.errors import UsageError
from ec2tasks.local.tasks import ns as local
from ec2tasks.notebook import choose_page, has_display, shown
from ec2tasks.notebook import command as notebook_command
from ec2tasks.options import (
    BROWSER_OPTION,
    END_OPTIONS,
    JSON_OPTION,
    PLACE_OPTIONS,
    PLAN_OPTIONS,
    REACH_OPTIONS,
    RUN_OPTIONS,
    SYNC_OPTIONS,
    UP_OPTIONS,
    Option,
    final_state,
    is_verbose,
)
from ec2tasks.price import price_text
from ec2tasks.recipes import asked, check_targets, make_argv
from ec2tasks.scaffold import init_project, makefile_text
from ec2tasks.settings import printable
from ec2tasks.stay import duration

if TYPE_CHECKING:
    from fabric import Connection


@ec2_task(*UP_OPTIONS)
def up(c: Context, given: Mapping[str, Any]) -> None:
    """Find, launch or start the project's instance, and wait until it takes commands.

    Prints where it is, what it costs per hour and what to type next.
    """
    call = make_call(c, given)
    if is_dry(c, given):
        return _show_plan(plan.up_lines(call))
    found = workflow.up(call)
    report.data(f"{found.where} at {found.address}, {price_text(found.price)}")
    report.hint('`ec2tasks run "COMMAND"` runs there, `ec2tasks down` ends it')
    return None


def _show_plan(lines: Sequence[str]) -> None:
    for line in lines:
        report.data(f"would {line}")


def _run(c: Context, given: Mapping[str, Any], command: str | None, targets: Sequence[str] = ()) -> int:
    if given["detach"] and command is None:
        raise UsageError("a shell can't be detached", hint='`ec2tasks run --detach "COMMAND"`')
    call, wish = make_call(c, given, targets), _wish(given, command)
    if is_dry(c, given):
        _show_plan(plan.run_lines(call, command, sync=wish.sync))
        return 0
    return workflow.run(call, wish)


def _wish(given: Mapping[str, Any], command: str | None, **more: Any) -> workflow.Wish:
    sync, verbose = not given["no_rsync"], is_verbose(given)
    return workflow.Wish(command=command, sync=sync, verbose=verbose, detach=given["detach"], **more)


def _words(text: str, usage: str) -> str:
    """What to run. Raises UsageError where nothing is, or where Invoke took an unknown option for it."""
    if not text.strip():
        raise UsageError("there is nothing to run", hint=usage)
    if re.fullmatch(r"--?[A-Za-z][\w-]*", text):
        raise UsageError(f"no option `{text}`", hint="`ec2tasks TASK --help` lists the options")
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
    Makefile does not have is refused before anything is launched.
    """
    targets = _words(given["targets"], '`ec2tasks make "TARGET…"`')
    check_targets(targets, directory=Path.cwd())
    command = shlex.join(make_argv(targets, makeflags=os.environ.get("MAKEFLAGS", "")))
    return _run(c, given, command, asked(targets).goals)


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
    call = make_call(c, given)
    page = choose_page(call.settings.ports)
    ports = tuple(dict.fromkeys((*call.settings.ports, page.forward)))
    call = replace(call, settings=replace(call.settings, ports=ports))
    beside = partial(shown, page, browser=not given["no_browser"] and has_display())
    wish = _wish(given, notebook_command(page), variables=page.variables, beside=beside)
    if is_dry(c, given):
        _show_plan(plan.run_lines(call, f"Jupyter, its page at {page.site}", sync=wish.sync))
        return 0
    return workflow.run(call, wish)


@ec2_task(*REACH_OPTIONS)
def attach(c: Context, given: Mapping[str, Any]) -> int:
    """Come back to the command that was left running on the instance: its terminal, or what it prints.

    On a terminal the multiplexer's keys detach again (Ctrl-B d in tmux, Ctrl-A d in screen). Ends with the
    command's exit code if it ends meanwhile.
    """
    return workflow.attach(make_call(c, given))


@ec2_task(*END_OPTIONS, *SYNC_OPTIONS, *REACH_OPTIONS)
def finish(c: Context, given: Mapping[str, Any]) -> int:
    """Attach, wait for the command's end, pull, then the end of life.

    The end of life is the one asked for now, else the one that was asked for when the command was started.
    """
    verbose = is_verbose(given)
    return workflow.finish(make_call(c, given), fetch=not given["no_rsync"], verbose=verbose)


@ec2_task(
    Option(names=("push",), kind=bool, help="only from here to there"),
    Option(names=("pull",), kind=bool, help="only from there to here"),
    *(one for one in SYNC_OPTIONS if one.names[0] != "no_rsync"),
    *REACH_OPTIONS,
    *PLAN_OPTIONS,
)
def sync(c: Context, given: Mapping[str, Any]) -> None:
    """Push the project's files to its instance, then pull what is new there."""
    both = given["push"] == given["pull"]
    verbose = is_verbose(given)
    call = make_call(c, given)
    if is_dry(c, given):
        return _show_plan(plan.sync_lines(call, push=both or given["push"], pull=both or given["pull"]))
    workflow.sync(call, push=both or given["push"], pull=both or given["pull"], verbose=verbose)
    return None


@ec2_task(
    *(one for one in END_OPTIONS if one.names[0] != "leave"), *SYNC_OPTIONS, *REACH_OPTIONS, *PLAN_OPTIONS
)
def down(c: Context, given: Mapping[str, Any]) -> int:
    """Pull what is on the instance, then terminate it (`--stop`: stop it).

    With `--no-rsync` what is there and not here is given up. Where the results can't be fetched whole, the
    instance is stopped, not terminated.
    """
    wanted = Ending(final_state(given) or "terminate")
    fetch, verbose = not given["no_rsync"], is_verbose(given)
    call = make_call(c, given)
    if is_dry(c, given):
        _show_plan(plan.down_lines(call, wanted, fetch=fetch))
        return 0
    return workflow.down(call, wanted, fetch=fetch, verbose=verbose)


@ec2_task(JSON_OPTION, *PLACE_OPTIONS)
def status(c: Context, given: Mapping[str, Any]) -> None:
    """Show this project's instance: state, type, place, age, cost since its start."""
    call = make_call(c, given)
    found = find(call)
    if given["json"]:
        report.data(json.dumps(instances.described(found) if found else None, indent=2))
    elif found:
        _table([found])
    else:
        report.step(f"no instance `{call.settings.name}` in {call.aws.region}")
        report.hint("`ec2tasks up` launches it, `ec2tasks ls` lists yours")


@ec2_task(
    JSON_OPTION,
    Option(names=("all_regions",), kind=bool, help="in every region of the account"),
    *PLACE_OPTIONS,
)
def ls(c: Context, given: Mapping[str, Any]) -> None:
    """List all your instances that ec2tasks launched in the region, or in all of them."""
    call = make_call(c, given)
    regions = _all_regions(call.aws) if given["all_regions"] else [call.aws.region]

    def ask(region: str) -> list[instances.Instance]:
        return instances.list_instances(replace_region(call.aws, region), owner=call.settings.key_name)

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = [one for many in pool.map(ask, regions) for one in many]
    if given["json"]:
        report.data(json.dumps([instances.described(one) for one in found], indent=2))
    elif found:
        _table(found)
    else:
        report.step(f"no instance of `{call.settings.key_name}` in {', '.join(regions)}")


def _all_regions(aws: Aws) -> list[str]:
    return sorted(one["RegionName"] for one in aws.ec2.describe_regions()["Regions"])


def replace_region(aws: Aws, region: str) -> Aws:
    """The same AWS in another region."""
    return aws if region == aws.region else Aws(endpoint=aws.endpoint, region=region)


def _table(found: Sequence[instances.Instance]) -> None:
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "ADDRESS", "AGE", "COST")]
    now = datetime.now(timezone.utc)
    for one in found:
        spent = one.cost_until(now)
        age = duration((now - one.launched).total_seconds())
        cost = "-" if spent is None else f"${spent:.2f}"
        rows.append((one.name, one.id, one.state, one.type, one.zone, one.address or "-", age, cost))
    report.data(report.columns(rows))


@ec2_task(JSON_OPTION, *(one for one in RUN_OPTIONS if one.setting), *END_OPTIONS)
def config(c: Context, given: Mapping[str, Any]) -> None:
    """Show every setting, its value, and where it came from."""
    rows = printable(make_settings(c, given))
    if given["json"]:
        report.data(
            json.dumps({name: {"value": value, "source": source} for name, value, source in rows}, indent=2)
        )
        return
    texts = [(name, _value_text(value), source) for name, value, source in rows]
    report.data(report.columns([("SETTING", "VALUE", "FROM"), *texts]))


def _value_text(value: object) -> str:
    if value is None or value in ((), {}):
        return "-"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return (
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).replace("\n", "\\n")
    )


@ec2_task()
def init(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # it has no options
    """Put Makefile.inc, ec2.yaml, .rsyncignore and tasks.py into this folder, never over an existing file."""
    for line in init_project(Path.cwd()):
        report.step(line)
    report.hint("add `include Makefile.inc` to your Makefile, then `make on-ec2-TARGET`")


@ec2_task()
def makefile(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # it has no options
    """Print Makefile.inc, the rules that make `make on-ec2-TARGET` work."""
    report.data(makefile_text().rstrip("\n"))


@contextmanager
def connect(c: Context | None = None, **options: Any) -> Iterator[Connection]:
    """A Fabric Connection to the project's running instance, for tasks of your own.

    `options` are those of the tasks by name (`region="eu-west-1"`). Starts a stopped instance, launches none:
    raises Failure where there is none. https://docs.fabfile.org/en/stable/api/connection.html

        with connect() as there:
            there.run("nvidia-smi")
    """
    context = c or Context()
    call = make_call(context, options)
    check_here(call)
    host = _translated_host(call)
    with connection(host) as there:
        yield there


def _translated_host(call: Call) -> Host:
    found: list[Host] = []
    translated(lambda: found.append(arrive(call, Arrival(), may_launch=False)))
    return found[0]


ec2 = Collection(
    "ec2",
    up,
    run,
    make_,
    shell,
    notebook,
    attach,
    finish,
    sync,
    down,
    status,
    ls,
    config,
    init,
    makefile,
    local,
    admin,
)
ns = Collection(ec2)
