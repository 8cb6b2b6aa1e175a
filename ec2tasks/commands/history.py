"""The jobs that ran and run on the instance, and their output; nothing is launched or started for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import TooMuchError
from ec2tasks.base.retry import ticks
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.remote.follow import View, follow_argv
from ec2tasks.remote.job import BROKEN, JobStatus, job_status, list_jobs
from ec2tasks.remote.job_name import Named, pick, short_forms, short_title, title_of
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.ssh.connect import close_master
from ec2tasks.ssh.host import Host

if TYPE_CHECKING:
    from ec2tasks.base.answers import JobAnswer

PAUSE = 2.0  # seconds between attempts to come back
OPTIONS = ("-T", "-o", "LogLevel=QUIET")


def all_jobs(context: CallContext) -> list[JobStatus]:
    """The jobs that ran and run on the instance, the newest first. Raises Failure where it is not running."""
    host = connect_running(context)
    try:
        return list_jobs(host, context.tools)
    except (ProtocolError, TooMuchError):
        raise
    except Failure:
        # A kept connection that a change of network killed still looked alive.
        close_master(host, context.tools)
        return list_jobs(connect_running(context), context.tools)


def pick_job(jobs: Sequence[JobStatus], wanted: str) -> JobStatus:
    """The job that is named so, else the newest. Raises Failure where nothing ran, UsageError for several."""
    if not jobs:
        raise Failure("nothing has run on the instance yet", hint='`ec2tasks run "COMMAND"` runs something')
    if not wanted:
        return jobs[0]
    job_id = pick(named(jobs), wanted).job_id
    return next(job for job in jobs if job.job_id == job_id)


def named(jobs: Sequence[JobStatus]) -> list[Named]:
    """These jobs as far as they can be named."""
    return [
        Named(job_id=job.job_id, title=title_of(job.command), running=job.state == "running") for job in jobs
    ]


def show_output(context: CallContext, wanted: str, *, follow: bool) -> None:
    """Show a job's output as it was printed, its two streams on ours; with `follow`, until it ends."""
    job = pick_job(all_jobs(context), wanted)
    view = View(tools=context.tools, on_unread=_hang_up)
    for _ in ticks(every=PAUSE):
        host = connect_running(context)
        code, error = view.once(
            lambda marker: follow_argv(host, job.job_id, view, marker, dump=not follow, options=OPTIONS)  # noqa: B023  # called at once
        )
        if code != BROKEN:
            if error:
                raise Failure(error)
            return
        if _is_complete(context, host, job, view):
            return


def _hang_up() -> None:
    """Whoever read it, say `head`, has gone: there is nobody to show it to."""
    raise BrokenPipeError


def _is_complete(context: CallContext, host: Host, job: JobStatus, view: View) -> bool:
    """Whether the job has ended, or is gone, and all of its output has been shown."""
    try:
        status = job_status(host, context.tools, job.job_id)
    except (ProtocolError, TooMuchError):
        raise
    except Failure:
        close_master(host, context.tools)
        return False
    shown = (view.out.offset, view.err.offset)
    return status is None or status.lost or (status.over and status.kept == shown)


def table_rows(jobs: Sequence[JobStatus], now: datetime | None = None) -> list[tuple[str, ...]]:
    """Jobs as a table, its heading first; each by the shortest form that names it alone."""
    heading, names = ("JOB", "STATE", "CODE", "SINCE", "RAN", "COMMAND"), short_forms(named(jobs))
    moment = now or datetime.now(timezone.utc)
    return [heading, *(_row(job, names[job.job_id], moment) for job in jobs)]


def _row(job: JobStatus, name: str, now: datetime) -> tuple[str, ...]:
    code = "-" if job.code is None else str(job.code)
    until = now.timestamp() if job.state == "running" else job.ended
    ran = "-" if until is None else duration(max(0.0, until - job.started))
    return (name, job.state, code, _since(job.started, now), ran, short_title(title_of(job.command)))


def _since(seconds: int, now: datetime) -> str:
    """The time of day here at so many seconds since 1970, with the day where that is not today."""
    began = datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone()
    return f"{began:%H:%M:%S}" if began.date() == now.astimezone().date() else f"{began:%Y-%m-%d %H:%M}"


def job_json(job: JobStatus) -> JobAnswer:
    """A job as JSON can hold it; times in ISO 8601, UTC."""
    return {
        "job": job.job_id,
        "command": job.command,
        "state": job.state,
        "code": job.code,
        "started": _iso(job.started),
        "ended": None if job.ended is None else _iso(job.ended),
        "multi": job.multi,
        "final_state": job.final_state.value,
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
