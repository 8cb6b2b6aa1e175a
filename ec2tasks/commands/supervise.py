"""Supervises a job from here until it ends or is left running, whatever becomes of the connection."""

from __future__ import annotations

import os
import signal

from ec2tasks.base import output
from ec2tasks.base.errors import INTERRUPTED_CODE, Failure
from ec2tasks.base.process import exit_code
from ec2tasks.base.signals import handled
from ec2tasks.base.terminal import has_input, on_terminal, shares_terminal
from ec2tasks.commands.reconnect import JobConnection
from ec2tasks.lifecycle import shown_output
from ec2tasks.lifecycle.host_key_check import held_to_console
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome
from ec2tasks.remote import job as jobs
from ec2tasks.remote.ctrl_c import Detached, detach
from ec2tasks.remote.follow import View, follow_argv
from ec2tasks.remote.job import BROKEN, MISSING, Job
from ec2tasks.remote.protocol import script_argv
from ec2tasks.ssh.packages import install_missing

UNREAD = "nobody reads the output any more; the command goes on to its end, and its results come"


def _never_began(lease: Lease, job: Job) -> bool:
    """Whether a job that was to be started is known not to have been."""
    try:
        return jobs.job_status(lease.host, lease.context.tools, job.job_id) is None
    except Failure:
        return False


def supervise(connection: JobConnection, *, start: bool, since: tuple[int, int] = (0, 0)) -> Outcome:
    """Be with the job until it ends or is left running; the outcome holds its exit code, 130 after Ctrl-C.

    With `start` it is started first, unless it has been. What it printed is shown from these offsets on.
    Raises Failure where it can't be started, was lost, or its instance has ended; KeyboardInterrupt where
    Ctrl-C came before it began.
    """
    try:
        with connection.forwarding():
            return Outcome(code=_exit_code(connection, start=start, since=since))
    except Detached as left:
        if start and _never_began(connection.lease, connection.job):
            raise KeyboardInterrupt from None
        end = End.LEFT_BY_INTERRUPT if left.code == INTERRUPTED_CODE else End.DETACHED
        return Outcome(end=end, code=left.code)


def _exit_code(connection: JobConnection, *, start: bool, since: tuple[int, int]) -> int:
    """The job's exit code, once it has ended. Raises Detached where it is left running."""
    job = connection.job
    if job.multi != "none" and on_terminal():
        return _at_multiplexer(connection)
    view = _view(connection)
    view.out.offset, view.err.offset = since
    try:
        with (
            shown_output.kept(connection.lease.context.state, job.job_id) as view.on_shown,
            view.open(),
            # Where the control connection broke, ssh has made one of its own.
            held_to_console(connection.lease.acquired.key_check, view.drop),
        ):
            code = _followed(connection, view, start=start)
    finally:
        connection.ssh_log.unlink(missing_ok=True)
    return INTERRUPTED_CODE if view.interrupted(code) and not _is_shell(job) else code


def _is_shell(job: Job) -> bool:
    return job.command is None and job.terminal


def _view(connection: JobConnection) -> View:
    job, raw = connection.job, connection.job.terminal and on_terminal() and not shares_terminal(os.environ)
    return View(
        tools=connection.lease.context.tools,
        raw=raw,
        fed=raw or (job.fed and not job.terminal and has_input()),
        leaves=not _is_shell(job),
        interrupt=connection.interrupt,
        on_connected=connection.connected,
        on_printed=connection.on_printed,
        on_unread=lambda: output.step(UNREAD),
    )


def _followed(connection: JobConnection, view: View, *, start: bool) -> int:
    """The command's exit code once it has ended and all of its output is here."""
    while True:
        code, error = view.once(
            lambda marker: _follow_argv(connection, view, marker, start=start and not view.met)
        )
        if code == MISSING and error and not view.met:
            install_missing(connection.host, connection.tools, ("script",))
        elif error and code not in (BROKEN, MISSING) and code > 0:
            raise jobs.not_started(error)
        elif code != BROKEN and code >= 0:
            return code
        else:
            status = connection.reconnect(met=view.met, begun=view.begun)
            if status and status.over and (status.lost or (view.out.offset, view.err.offset) == status.kept):
                return jobs.exit_code(status)


def _follow_argv(connection: JobConnection, view: View, marker: str, *, start: bool) -> list[str]:
    # What ssh itself has to say must not be taken for the command's.
    options = ["-E", str(connection.ssh_log), "-T"]
    return follow_argv(connection.host, connection.job.job_id, view, marker, start=start, options=options)


def _at_multiplexer(connection: JobConnection) -> int:
    """Be at the command's terminal; left by the multiplexer's own keys, it goes on."""
    while True:
        code = _attached(connection)
        if code == BROKEN:
            status = connection.reconnect(met=True, begun=True)
            connection.connected()
        else:
            status = jobs.job_status(connection.host, connection.lease.context.tools, connection.job.job_id)
            if status:
                with shown_output.kept(connection.lease.context.state, status.job_id) as shown:
                    shown(status.kept)
            if status and not status.over:
                raise Detached(0)
        if status and status.over:
            return jobs.exit_code(status)


def _attached(connection: JobConnection) -> int:
    argv = script_argv(
        connection.host, "follow.sh", "attach", job=connection.job.job_id, options=["-t", "-t"]
    )
    with (
        handled((signal.SIGINT,), connection.interrupt),
        handled((signal.SIGTERM,), lambda: detach(128 + signal.SIGTERM)),
        handled((signal.SIGHUP,), lambda: detach(128 + signal.SIGHUP)),
        connection.lease.context.tools.start(argv) as ssh,
        held_to_console(connection.lease.acquired.key_check, ssh.terminate),
    ):
        try:
            return exit_code(ssh.wait())
        except Detached:
            ssh.terminate()  # it gives the terminal back as it was
            raise
