"""What ran and runs on the instance, and its output: looked at, nothing launched or started for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.retry import ticks
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.remote import job as jobs
from ec2tasks.remote.follow import View
from ec2tasks.remote.job import BROKEN, JobStatus
from ec2tasks.remote.session import remote_argv
from ec2tasks.ssh.connect import close_master
from ec2tasks.ssh.host import Host

PAUSE = 2.0  # seconds between attempts to come back
COMMAND_LIMIT = 60  # characters of a command in the table


def there(context: CallContext) -> list[JobStatus]:
    """What ran and runs on the instance, the newest first. Raises Failure where none is running."""
    host = connect_running(context)
    try:
        return jobs.list_jobs(host, context.tools)
    except Failure:
        # A kept connection that a change of network killed still looked alive.
        close_master(host, context.tools)
        return jobs.list_jobs(connect_running(context), context.tools)


def pick(found: Sequence[JobStatus], wanted: str) -> JobStatus:
    """The run whose id begins so, else the newest. Raises Failure for none, UsageError for several."""
    if not found:
        raise Failure("nothing has run on the instance yet", hint='`ec2tasks run "COMMAND"` runs something')
    some = [run for run in found if run.job_id.startswith(wanted)]
    if not some:
        raise UsageError(f"no run `{wanted}` on the instance", hint="`ec2tasks jobs` lists them")
    if wanted and len(some) > 1:
        words = ", ".join(run.job_id for run in some[:3])
        raise UsageError(f"`{wanted}` is the beginning of {len(some)} runs: {words}", hint="give more of it")
    return some[0]


def show(context: CallContext, wanted: str, *, follow: bool) -> None:
    """Show the output of a run as it was printed, its two streams on ours; with `follow`, until it ends."""
    run = pick(there(context), wanted)
    view = View(tools=context.tools, unread=_hang_up)
    for _ in ticks(every=PAUSE):
        host = connect_running(context)
        code, said = view.once(lambda word: _argv(host, run, view, word, follow=follow))  # noqa: B023  # called at once
        if code != BROKEN:
            if said:
                raise Failure(said)
            return
        if _has_all(context, host, run, view):
            return


def _hang_up() -> None:
    """Whoever read it, say `head`, has gone: there is nobody to show it to."""
    raise BrokenPipeError


def _has_all(context: CallContext, host: Host, run: JobStatus, view: View) -> bool:
    try:
        now = jobs.look(host, context.tools, run.job_id)
    except Failure:
        close_master(host, context.tools)
        return False
    return now is None or now.lost or (now.over and now.kept == (view.out.offset, view.err.offset))


def _argv(host: Host, run: JobStatus, view: View, word: str, *, follow: bool) -> list[str]:
    words = [run.job_id, word, str(view.out.offset), str(view.err.offset), *([] if follow else ["dump"])]
    return remote_argv(host, "follow.sh", "follow", *words, options=["-T", "-o", "LogLevel=QUIET"])


def rows(found: Sequence[JobStatus]) -> list[tuple[str, ...]]:
    """Runs as a table."""
    heading = ("RUN", "STATE", "CODE", "STARTED", "ENDED", "COMMAND")
    return [heading, *(_row(run) for run in found)]


def _row(run: JobStatus) -> tuple[str, ...]:
    code = "-" if run.code is None else str(run.code)
    ended = "-" if run.ended is None else _moment(run.ended)
    command = "(shell)" if run.command is None else " ".join(run.command.split())
    if len(command) > COMMAND_LIMIT:
        command = f"{command[: COMMAND_LIMIT - 1]}…"
    return (run.job_id, run.state, code, _moment(run.started), ended, command)


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}"


def described(run: JobStatus) -> dict[str, object]:
    """A run as JSON can hold it; times in ISO 8601, UTC."""
    return {
        "run": run.job_id,
        "command": run.command,
        "state": run.state,
        "code": run.code,
        "started": _iso(run.started),
        "ended": None if run.ended is None else _iso(run.ended),
        "multi": run.multi,
        "final_state": run.final_state,
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
