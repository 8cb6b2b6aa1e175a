"""The other tasks, and the collection of all: names, options, help; each imports what does its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

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
)
from ec2tasks.cli.runs import report, runs
from ec2tasks.cli.ssh_config import ssh_config
from ec2tasks.cli.task import ec2_task
from ec2tasks.cli.trust import trust
from ec2tasks.local.tasks import ns as local


@ec2_task(*UP_OPTIONS)
def up(c: Context, given: Mapping[str, Any]) -> None:
    """Find, launch or start the project's instance, and wait until it takes commands.

    Prints where it is, what it costs per hour and what to type next.
    """
    from ec2tasks.cli.moving import bring_up

    bring_up(c, given)


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
    from ec2tasks.cli.moving import move

    move(c, given)


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
    from ec2tasks.cli.moving import end

    return end(c, given)


@ec2_task(
    JSON_OPTION,
    Option(names=("schema",), kind=bool, help="print the JSON Schema of ec2.yaml instead, for editors"),
    *(option for option in RUN_OPTIONS if option.setting),
    *END_OPTIONS,
)
def config(c: Context, given: Mapping[str, Any]) -> None:
    """Show every setting, its value, and where it came from."""
    from ec2tasks.cli.shown_settings import show

    show(c, given)


@ec2_task(Option(names=("agents",), kind=bool, help="AGENTS.md too: how a coding agent uses ec2tasks safely"))
def init(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # no setting counts
    """Put Makefile.inc, ec2.yaml, .rsyncignore and tasks.py into this folder, never over an existing file.

    A Makefile that does not include Makefile.inc yet gets that as its last line; of a tasks.py that is there,
    the lines are shown with which `inv` finds the tasks of ec2tasks beside its own. The JSON Schema of
    ec2.yaml, by which editors complete and check it, goes into .ec2tasks/ each time. With `--agents`,
    AGENTS.md gets a section at its end, unless it has one.
    """
    from ec2tasks.cli.scaffold import put_files

    put_files(Path.cwd(), agents=given["agents"])


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
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import environment as environment_commands
    from ec2tasks.commands.trust import Acts

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
    from ec2tasks.base import output
    from ec2tasks.cli.scaffold import makefile_text

    output.document(makefile_text().rstrip("\n"))


Tasks = Sequence[Task[Any] | Collection]
# All tasks, by what they are for: the one place that says it.
GROUPS: Sequence[tuple[str, Tasks]] = (
    ("Run", (run_tasks.run, run_tasks.make_, run_tasks.shell, run_tasks.notebook)),
    (
        "Come back to what runs",
        (
            run_tasks.attach,
            run_tasks.finish,
            run_tasks.cancel,
            run_tasks.jobs,
            run_tasks.logs,
            run_tasks.ports,
        ),
    ),
    ("Bring up, move files, end", (up, sync, down, instance_tasks.reap)),
    (
        "Look",
        (
            instance_tasks.status,
            instance_tasks.ls,
            run_tasks.use,
            runs,
            report,
            look_tasks.quote,
            env,
        ),
    ),
    ("Set up", (init, makefile, look_tasks.check, config, trust, ssh_config)),
    ("For administrators", (admin,)),
    ("The local EC2", (local,)),
)
ec2 = Ec2Collection("ec2", *(task for _, tasks in GROUPS for task in tasks))
ns = Collection(ec2)
