"""The other tasks, and the collection of all: each reads its options, then calls its stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context

from ec2tasks.aws.prices import price_text
from ec2tasks.base import hints, output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.cli import instances as instance_tasks
from ec2tasks.cli import look as look_tasks
from ec2tasks.cli import run as run_tasks
from ec2tasks.cli.admin import ns as admin
from ec2tasks.cli.invoked import Ec2Collection
from ec2tasks.cli.options import (
    END_OPTIONS,
    JSON_OPTION,
    PLAN_OPTIONS,
    REACH_OPTIONS,
    RUN_OPTIONS,
    SYNC_OPTIONS,
    UP_OPTIONS,
    Option,
    final_state,
    from_code,
    is_verbose,
)
from ec2tasks.cli.runs import report, runs
from ec2tasks.cli.scaffold import TO_COPY, init_project, makefile_text
from ec2tasks.cli.task import ec2_task, is_dry, make_context, make_settings, show_plan, translated
from ec2tasks.cli.trust import trust
from ec2tasks.commands import environment as environment_commands
from ec2tasks.commands import plan
from ec2tasks.commands import sync as sync_commands
from ec2tasks.commands.down import down as end_instance
from ec2tasks.commands.preflight import check_push, foretell
from ec2tasks.commands.trust import Acts
from ec2tasks.commands.up import up as bring_up
from ec2tasks.config.json_schema import schema_text
from ec2tasks.config.settings import settings_rows
from ec2tasks.lifecycle.acquire import Acquired, acquire_without_session, check_local_tools
from ec2tasks.lifecycle.host_key_check import held_to_console
from ec2tasks.local.tasks import ns as local
from ec2tasks.make.reading import MAKEFILES
from ec2tasks.ssh.connect import fabric_connection
from ec2tasks.sync import diff_view as difference

if TYPE_CHECKING:
    from fabric import Connection

    from ec2tasks.base.answers import SettingAnswer


@ec2_task(*UP_OPTIONS)
def up(c: Context, given: Mapping[str, Any]) -> None:
    """Find, launch or start the project's instance, and wait until it takes commands.

    Prints where it is, what it costs per hour and what to type next.
    """
    context = make_context(c, given)
    if is_dry(c, given):
        check_local_tools(context)
        foretell(context)
        return show_plan(plan.up_lines(context))
    instance = bring_up(context)
    output.data(
        f"{instance.where} at {instance.address or instance.private_address}, {price_text(instance.price)}"
    )
    output.hint('`ec2tasks run "COMMAND"` runs there, `ec2tasks down` ends it')
    return None


@ec2_task(
    Option(names=("push",), kind=bool, help="only from here to there"),
    Option(names=("pull",), kind=bool, help="only from there to here"),
    Option(names=("diff",), kind=bool, help="only show what would move, and why"),
    JSON_OPTION,
    *(option for option in SYNC_OPTIONS if option.names[0] != "no_rsync"),
    *REACH_OPTIONS,
    *PLAN_OPTIONS,
)
def sync(c: Context, given: Mapping[str, Any]) -> None:
    """Push the project's files to its instance, then pull what is new there.

    What changed on both sides is kept twice: yours stays, the instance's arrives as NAME.ec2-JOB. Nothing is
    overwritten or deleted without a copy in .ec2tasks/replaced/ of that side.
    """
    if given["json"] and not given["diff"]:
        raise UsageError("--json goes with --diff alone", hint="`ec2tasks sync --diff --json`")
    both = given["push"] == given["pull"]
    verbose = is_verbose(given)
    pushes = (both or given["push"]) and not given["diff"]
    context = make_context(c, given, acts=Acts.PUSH if pushes else Acts.LAUNCH)
    if given["diff"]:
        changes = sync_commands.differences(context)
        return difference.show_json(changes) if given["json"] else difference.show(changes)
    check_local_tools(context)
    if both or given["push"]:
        check_push(context)
    if is_dry(c, given):
        return show_plan(plan.sync_lines(context, push=both or given["push"], pull=both or given["pull"]))
    sync_commands.sync(context, push=both or given["push"], pull=both or given["pull"], verbose=verbose)
    return None


@ec2_task(
    *(option for option in END_OPTIONS if option.names[0] != "leave"),
    *SYNC_OPTIONS,
    *REACH_OPTIONS,
    *PLAN_OPTIONS,
)
def down(c: Context, given: Mapping[str, Any]) -> int:
    """Pull what is on the instance, then terminate it (`--stop`: stop it).

    With `--no-rsync` what is there and not here is given up. Where the results can't be fetched whole, the
    instance is stopped, not terminated.
    """
    wanted = FinalState(final_state(given) or "terminate")
    fetch, verbose = not given["no_rsync"], is_verbose(given)
    context = make_context(c, given, acts=Acts.LOOK)
    if is_dry(c, given):
        show_plan(plan.down_lines(context, wanted, fetch=fetch))
        return 0
    return end_instance(context, wanted, fetches=fetch, verbose=verbose)


@ec2_task(
    JSON_OPTION,
    Option(names=("schema",), kind=bool, help="print the JSON Schema of ec2.yaml instead, for editors"),
    *(option for option in RUN_OPTIONS if option.setting),
    *END_OPTIONS,
)
def config(c: Context, given: Mapping[str, Any]) -> None:
    """Show every setting, its value, and where it came from."""
    if given["schema"]:
        output.document(schema_text().rstrip("\n"))
        return
    rows = settings_rows(make_settings(c, given))
    if given["json"]:
        settings: dict[str, SettingAnswer] = {
            name: {"value": value, "source": source} for name, value, source in rows
        }
        output.json(settings)
        return
    texts = [(name, _value_text(value), source) for name, value, source in rows]
    output.table([("SETTING", "VALUE", "FROM"), *texts])


def _value_text(value: object) -> str:
    if value is None or value in ((), {}):
        return "-"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


@ec2_task(Option(names=("agents",), kind=bool, help="AGENTS.md too: how a coding agent uses ec2tasks safely"))
def init(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # no setting counts
    """Put Makefile.inc, ec2.yaml, .rsyncignore and tasks.py into this folder, never over an existing file.

    A Makefile that does not include Makefile.inc yet gets that as its last line; of a tasks.py that is there,
    the lines are shown with which `inv` finds the tasks of ec2tasks beside its own. The JSON Schema of
    ec2.yaml, by which editors complete and check it, goes into .ec2tasks/ each time. With `--agents`,
    AGENTS.md gets a section at its end, unless it has one.
    """
    for line in init_project(Path.cwd(), agents=given["agents"]):
        if line.startswith(TO_COPY):
            output.to_copy(line.removeprefix(TO_COPY))
        else:
            output.step(line)
    makes = any((Path.cwd() / name).is_file() for name in MAKEFILES)
    first = "" if makes else "a Makefile with `include Makefile.inc`, then "
    output.hint(
        f"{first}`make on-ec2-TARGET` runs a target there; `make -n on-ec2-TARGET` shows what it calls"
    )


@ec2_task(
    Option(names=("rebuild",), kind=bool, help="build it anew on the running instance"),
    Option(names=("env",), setting="env"),
    JSON_OPTION,
    *REACH_OPTIONS,
)
def env(c: Context, given: Mapping[str, Any]) -> None:
    """Tell which environment a run takes there, why, where it is, and what of it differs from here.

    Nothing is launched or started for it.
    """
    context = make_context(c, given, acts=Acts.LOOK)
    request = environment_commands.wanted_environment(context)
    if given["rebuild"]:
        return environment_commands.rebuild(context, request)
    lines = environment_commands.explain(context, request)
    if given["json"]:
        return output.json(environment_commands.environment_json(request, lines))
    for line in lines:
        output.data(line)
    return None


@ec2_task()
def makefile(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # it has no options
    """Print Makefile.inc, the rules that make `make on-ec2-TARGET` work."""
    output.document(makefile_text().rstrip("\n"))


@contextmanager
def connect(c: Context | None = None, **options: Any) -> Iterator[Connection]:
    """A Fabric Connection to the project's running instance, for tasks of your own.

    `options` are those of the tasks, or their settings, by name (`region="eu-west-1"`). Starts a stopped
    instance and launches none. Raises Failure where there is none, UsageError for a name that no option has
    or where the project's own files wish what the user has not agreed to.
    https://docs.fabfile.org/en/stable/api/connection.html

        with connect() as there:
            there.run("nvidia-smi")
    """
    with hints.scope():
        context = make_context(c or Context(), from_code(options), asks=False)
        check_local_tools(context)
        acquired = Acquired()
        host = translated(lambda: acquire_without_session(context, acquired, may_launch=False))
    with fabric_connection(host) as remote, held_to_console(acquired.key_check, remote.close):
        yield remote


ec2 = Ec2Collection(
    "ec2",
    up,
    run_tasks.run,
    run_tasks.make_,
    run_tasks.shell,
    run_tasks.notebook,
    run_tasks.attach,
    run_tasks.finish,
    run_tasks.jobs,
    run_tasks.logs,
    run_tasks.use,
    runs,
    report,
    sync,
    down,
    instance_tasks.status,
    instance_tasks.ls,
    instance_tasks.reap,
    config,
    look_tasks.check,
    look_tasks.quote,
    env,
    trust,
    init,
    makefile,
    local,
    admin,
)
ns = Collection(ec2)
