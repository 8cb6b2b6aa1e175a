"""Comes back to a job that was left running on the instance: to look at it, or to wait for its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.come_back import NeverBegunError, job_left_running
from ec2tasks.commands.fetch import fetch, while_fetching
from ec2tasks.commands.reconnect import JobConnection
from ec2tasks.commands.record import Record
from ec2tasks.commands.supervise import supervise
from ec2tasks.commands.use import JobUse
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome
from ec2tasks.lifecycle.scope import with_instance
from ec2tasks.lifecycle.shown_output import START, shown
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import Job, JobStatus, LostJobError
from ec2tasks.remote.session import SessionMode


def attach(context: CallContext, wanted: str = "", *, whole: bool = False) -> int:
    """Come back to a job that runs on the instance; returns its exit code, or that of leaving it again.

    `wanted` is a form that names it; empty for the job that was left last. Its output goes on from
    where it was left on this machine; it is shown from its start where it is wanted `whole`.
    """
    check_local_tools(context)
    lease, timings = Lease(operation=Operation(context=context, mode=SessionMode.WATCH)), Timings()
    record = Record(lease=lease, timings=timings, fetches=False, comes_back=True)

    def work() -> Outcome:
        job = job_left_running(lease, wanted)
        record.came_back_to(job)
        if not whole and shown(context.state, job.job_id) != START:
            output.step(
                "its output from where it was left here; `ec2tasks attach --all` shows it from its start"
            )
        outcome = _supervise_again(record, job, whole=whole)
        if not outcome.left_running:
            output.step(f"job {job.job_id} has ended with {outcome.code}")
            output.hint("`ec2tasks finish` fetches its results and ends the instance")
        return outcome

    return record.of(lambda: with_instance(lease, work, timings)).code


def finish(
    context: CallContext,
    wanted: str = "",
    *,
    fetches: bool,
    verbose: bool,
    beside: Callable[[Lease], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> int:
    """Attach, wait for the end, pull, release: to the final state asked for now, else the one asked for then.

    What a restart of the instance ended has results, too: they are fetched, and the code is 125. `beside`
    goes on here until then.
    """
    check_local_tools(context, moves=fetches)
    asked = FinalState(context.settings.final_state) if context.settings.by_option("final_state") else None

    def until(record: Record, job: JobStatus) -> Outcome:
        with beside(record.lease):
            return _supervise_again(record, job)

    outcome = see_to_its_end(context, wanted, fetches=fetches, verbose=verbose, until=until, asked=asked)
    return outcome.exit_code(fetches=fetches)


def see_to_its_end(
    context: CallContext,
    wanted: str,
    *,
    fetches: bool,
    verbose: bool,
    until: Callable[[Record, JobStatus], Outcome],
    asked: FinalState | None = None,
) -> Outcome:
    """See a job `until` its end, pull, release, to the state `asked` for now, else then; how it went."""
    lease = Lease(operation=Operation(context=context, final_state=asked, fetches=fetches))
    timings, use = Timings(), JobUse(lease=lease)
    record = Record(lease=lease, timings=timings, fetches=fetches, comes_back=True)

    def work() -> Outcome:
        with timings.time("ran"):
            outcome = _seen_to_its_end(record, wanted, use, until)
        outcome = replace(outcome, results=lease.operation.results_at_first)
        if outcome.left_running:
            return replace(outcome, final_state=None)
        outcome = replace(outcome, final_state=None if asked else outcome.final_state)
        if not fetches:
            return outcome
        with timings.time("fetched"):
            return fetch(lease, outcome, verbose=verbose)

    outcome = record.of(lambda: with_instance(lease, work, timings))
    use.say_end(outcome, timings)
    return outcome


def _seen_to_its_end(
    record: Record, wanted: str, use: JobUse, until: Callable[[Record, JobStatus], Outcome]
) -> Outcome:
    """See the job to its end, with the final state asked for at its start; 125 for one that never began."""
    lease = record.lease
    try:
        job = job_left_running(lease, wanted)
    except NeverBegunError as never:
        output.warn_of(never)
        record.never_began(never)
        return Outcome(code=FAILURE_CODE, final_state=never.final_state)
    record.came_back_to(job)
    end, use.job_id = partial(_unless_lost, until, record, job), job.job_id
    outcome = while_fetching(lease, end, beside=use.keep) if lease.operation.fetches else end()
    record.seen(outcome)
    use.fetch(outcome, ran=(job.ended or time.time()) - job.started)
    return replace(outcome, final_state=job.final_state)


def _unless_lost(until: Callable[[Record, JobStatus], Outcome], record: Record, job: JobStatus) -> Outcome:
    """See the job to its end; one that a restart ended counts as ended with 125, which is said."""
    try:
        return until(record, job)
    except LostJobError as lost:
        output.warn_of(lost)
        return Outcome(code=FAILURE_CODE)


def _supervise_again(record: Record, job: JobStatus, *, whole: bool = False) -> Outcome:
    """Supervise the job; its output goes on from where it was left here, unless it is wanted `whole`."""
    if job.lost:
        return Outcome(code=jobs.exit_code(job))
    lease, context = record.lease, record.lease.context
    lease.follow(job.job_id)
    since = START if whole else shown(context.state, job.job_id)
    request = Job(
        job_id=job.job_id,
        command=job.command,
        remote_dir=context.settings.remote_dir,
        below=str(context.project.below),
        variables={},
        ports=context.settings.ports,
        reverse_ports=context.settings.reverse_ports,
        multi=job.multi,
        terminal=job.terminal,
        fed=job.fed,
    )
    connection = JobConnection(lease=lease, job=request, on_printed=record.tail.add)
    return supervise(connection, start=False, since=since)
