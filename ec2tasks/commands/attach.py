"""Comes back to a job that was left running on the instance: to look at it, or to wait for its end."""

from __future__ import annotations

from dataclasses import replace

from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE, Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.fetch import fetch, while_fetching
from ec2tasks.commands.history import pick_job
from ec2tasks.commands.supervise import supervise
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome
from ec2tasks.lifecycle.scope import with_instance
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import Job, JobStatus, LostJobError
from ec2tasks.remote.session import SessionMode

SHOWN_AGAIN = 256 * 1024  # bytes of earlier output that `attach` begins with


def attach(context: CallContext, job_prefix: str = "") -> int:
    """Come back to a job that runs on the instance; returns its exit code, or that of leaving it again.

    `job_prefix` is the beginning of its id; empty for the job that was left last.
    """
    check_local_tools(context)
    lease = Lease(operation=Operation(context=context, mode=SessionMode.WATCH))

    def work() -> Outcome:
        job = _job_left_running(lease, job_prefix)
        outcome = _supervise_again(lease, job, since=_last_part(job))
        if not outcome.left_running:
            output.step(f"job {job.job_id} has ended with {outcome.code}")
            output.hint("`ec2tasks finish` fetches its results and ends the instance")
        return outcome

    return with_instance(lease, work, Timings()).code


def finish(context: CallContext, job_prefix: str = "", *, fetches: bool, verbose: bool) -> int:
    """Attach, wait for the end, pull, release: to the final state asked for now, else the one asked for then.

    What a restart of the instance ended has results, too: they are fetched, and the code is 125.
    """
    check_local_tools(context)
    asked = FinalState(context.settings.final_state) if context.settings.by_option("final_state") else None
    lease = Lease(operation=Operation(context=context, final_state=asked, fetches=fetches))
    timings = Timings()

    def work() -> Outcome:
        with timings.time("ran"):
            job = _job_left_running(lease, job_prefix)
            if fetches:
                outcome = while_fetching(lease, lambda: _wait_for_end(lease, job))
            else:
                outcome = _wait_for_end(lease, job)
        outcome = replace(outcome, results=lease.operation.results_at_first)
        if outcome.left_running:
            return outcome
        outcome = replace(outcome, final_state=None if asked else job.final_state)
        if not fetches:
            return outcome
        with timings.time("fetched"):
            return fetch(lease, outcome, verbose=verbose)

    outcome = with_instance(lease, work, timings)
    if not outcome.left_running:
        output.step(timings.line(lease.cost()))
    return outcome.exit_code(fetches=fetches)


def _wait_for_end(lease: Lease, job: JobStatus) -> Outcome:
    """Supervise the job until its end; one that a restart ended counts as ended with 125, which is said."""
    try:
        return _supervise_again(lease, job)
    except LostJobError as lost:
        output.warning(lost.what, hint=lost.hint)
        return Outcome(code=FAILURE_CODE)


def _job_left_running(lease: Lease, prefix: str) -> JobStatus:
    host, tools = lease.host, lease.context.tools
    job = pick_job(jobs.list_jobs(host, tools), prefix) if prefix else jobs.job_status(host, tools)
    if job is None:
        raise Failure(
            "no command was left running on the instance",
            hint='`ec2tasks run --detach "COMMAND"` leaves one; `ec2tasks down` ends the instance',
        )
    return job


def _last_part(job: JobStatus) -> tuple[int, int]:
    """The offsets in its output from which on it is shown: the end of a long one."""
    out, err = job.kept
    if max(out, err) > SHOWN_AGAIN:
        output.step("what it printed last; `ec2tasks logs` shows all that is kept")
    return max(0, out - SHOWN_AGAIN), max(0, err - SHOWN_AGAIN)


def _supervise_again(lease: Lease, job: JobStatus, *, since: tuple[int, int] = (0, 0)) -> Outcome:
    if job.lost:
        return Outcome(code=jobs.exit_code(job))
    context = lease.context
    request = Job(
        job_id=job.job_id,
        command=job.command,
        remote_dir=context.settings.remote_dir,
        below=str(context.project.below),
        env=context.settings.env,
        variables={},
        ports=context.settings.ports,
        reverse_ports=context.settings.reverse_ports,
        multi=job.multi,
        terminal=job.terminal,
        fed=job.fed,
    )
    return supervise(lease, request, start=False, since=since)
