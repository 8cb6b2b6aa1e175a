"""The tasks that run something on the instance, come back to it, and tell what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import (
    BROWSER_OPTION,
    EACH_OPTION,
    END_OPTIONS,
    JOB_OPTION,
    JSON_OPTION,
    MACHINES_OPTION,
    PORT_OPTION,
    REACH_OPTIONS,
    RUN_OPTIONS,
    SYNC_OPTIONS,
    Option,
    is_verbose,
)
from ec2tasks.cli.task import ec2_task


@ec2_task(Option(names=("command",), positional=True, help="the command, as one text"), *RUN_OPTIONS)
def run(c: Context, given: Mapping[str, Any]) -> int:
    """Run a command in the project's folder on the instance: up, push, run, pull, end of life.

    The command is one text, as bash reads it: `ec2tasks run "make eval | tee log"`. Ends with the
    command's own exit code: 128 + n where signal n ended it, 130 after Ctrl-C, 125 where ec2tasks failed.
    """
    from ec2tasks.cli.running import run_command

    return run_command(c, given)


@ec2_task(
    Option(names=("targets",), positional=True, help="the target, or several as one text"),
    EACH_OPTION,
    MACHINES_OPTION,
    *RUN_OPTIONS,
    name="make",
)
def make_(c: Context, given: Mapping[str, Any]) -> int:
    """Run targets of the project's Makefile on the instance, as `make on-ec2-TARGET` does.

    Called by make, it carries over that make's flags and command-line variables. A target that the
    Makefile does not have is refused before anything is launched; one that is up to date here needs no
    instance.

    With `--machines 4` it takes a free one of four machines, NAME-1 to NAME-4, or waits for one. With
    `--each` each prerequisite of the target that is not up to date here is a run of its own on such a
    machine, as `make -j4 on-each-ec2-TARGET` does. It ends with 2 where one failed, 125 where ec2tasks did.
    """
    if given["each"]:
        from ec2tasks.cli.sweep import run_sweep

        return run_sweep(c, given)
    from ec2tasks.cli.running import run_targets

    return run_targets(c, given)


@ec2_task(*RUN_OPTIONS)
def shell(c: Context, given: Mapping[str, Any]) -> int:
    """Open a shell in the project's folder on the instance; afterwards pull and end of life as for `run`.

    For editors, scp and an ssh of your own beside it: `ec2tasks ssh-config`.
    """
    from ec2tasks.cli.running import run_shell

    return run_shell(c, given)


@ec2_task(BROWSER_OPTION, *RUN_OPTIONS)
def notebook(c: Context, given: Mapping[str, Any]) -> int:
    """Run Jupyter in the project's folder on the instance, its page in the browser here; Ctrl-C ends it.

    Where a notebook of the project runs already, it is joined: also one that was left, with `--detach` or by
    closing the terminal. The page is at port 8888 here, or at the next one that is free;
    `-L 9999:localhost:8888` takes another. Afterwards pull and end of life as for `run`.
    """
    from ec2tasks.cli.running import run_notebook

    return run_notebook(c, given)


@ec2_task(
    JOB_OPTION,
    Option(names=("all",), kind=bool, help="its output from its start, not from where it was left here"),
    PORT_OPTION,
    *REACH_OPTIONS,
)
def attach(c: Context, given: Mapping[str, Any]) -> int:
    """Come back to a command that runs on the instance: its terminal, or what it prints: `attach [JOB]`.

    What it prints goes on from where it was left on this machine; on another one it begins at its start.
    Ctrl-C is for the command, a second one leaves it; so do, in a multiplexer, its own keys (Ctrl-B d in
    tmux, Ctrl-A d in screen). Ends with the command's exit code if it ends meanwhile. In `inv` the job is
    named by --job.
    """
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import attach as attach_commands
    from ec2tasks.commands.trust import Acts

    context = make_context(c, given, acts=Acts.ATTACH)
    return attach_commands.attach(context, given["job"] or "", whole=given["all"])


@ec2_task(JOB_OPTION, *END_OPTIONS, *SYNC_OPTIONS, *REACH_OPTIONS)
def finish(c: Context, given: Mapping[str, Any]) -> int:
    """Attach, wait for the command's end, pull, then the end of life: `finish [JOB]`.

    Of what it prints, only what has not been shown on this machine yet is shown.
    The end of life is the one asked for last: now, by a later session, or when the command was started. In
    `inv` the job is named by --job.
    """
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import attach as attach_commands
    from ec2tasks.commands.trust import Acts

    verbose, job = is_verbose(given), given["job"] or ""
    context = make_context(c, given, acts=Acts.ATTACH)
    return attach_commands.finish(context, job, fetches=not given["no_rsync"], verbose=verbose)


@ec2_task(JOB_OPTION, *SYNC_OPTIONS, *REACH_OPTIONS)
def cancel(c: Context, given: Mapping[str, Any]) -> int:
    """End a command on the instance, politely and then hard, and fetch its results: `cancel [JOB]`.

    As Ctrl-C does, to all that it started; what goes on for 30 s is told to end (SIGTERM), 10 s later it is
    killed. The instance's end of life is the one that the run was started with, as with `finish`. Without JOB
    it is the only one that runs. In `inv` the job is named by --job.
    """
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import cancel as cancel_commands
    from ec2tasks.commands.trust import Acts

    verbose, job = is_verbose(given), given["job"] or ""
    context = make_context(c, given, acts=Acts.ATTACH)
    return cancel_commands.cancel(context, job, fetches=not given["no_rsync"], verbose=verbose)


@ec2_task(JSON_OPTION, *REACH_OPTIONS)
def jobs(c: Context, given: Mapping[str, Any]) -> None:
    """List what ran and runs on the instance: job, state, exit code, times, command.

    Nothing is launched or started for it. `lost` is what a restart of the instance ended, or
    what was killed with the process that kept it.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import history
    from ec2tasks.commands.trust import Acts

    listed = history.all_jobs(make_context(c, given, acts=Acts.LOOK))
    if given["json"]:
        output.json([history.job_json(job) for job in listed])
    elif listed:
        output.table(history.table_rows(listed), cuts=True)
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
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import history
    from ec2tasks.commands.trust import Acts

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
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import watch_use
    from ec2tasks.commands.trust import Acts

    context = make_context(c, given, acts=Acts.LOOK)
    watch_use.show_use(context, given["job"] or "", follow=given["follow"], as_json=given["json"])


@ec2_task(
    Option(names=("port",), help="the port there to open here: 8050 or 8051:localhost:8050"),
    JSON_OPTION,
    *REACH_OPTIONS,
)
def ports(c: Context, given: Mapping[str, Any]) -> None:
    """List what listens on the instance and what of it is open here, or open one more: `ports [PORT]`.

    It is open for as long as the connection to the instance: while a run from here uses it, and ten minutes
    more. A port that is taken here moves on to the next; `ports 9000:localhost:8050` names one. Nothing is
    launched or started for it. In `inv` the port is named by --port.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import ports as port_commands
    from ec2tasks.commands.trust import Acts

    context = make_context(c, given, acts=Acts.LOOK)
    if given["port"]:
        return port_commands.open_port(context, given["port"])
    answers = port_commands.ports_there(context)
    if given["json"]:
        return output.json(answers)
    if answers:
        output.table(port_commands.table_rows(answers))
    else:
        output.step("nothing listens on the instance")
    return None
