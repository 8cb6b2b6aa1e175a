"""Cancels a job: ends it there, then fetches its results and releases the instance as `finish` does."""

from __future__ import annotations

from collections.abc import Sequence

from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE, Failure, UsageError
from ec2tasks.base.waiting import waiting
from ec2tasks.commands.attach import see_to_its_end
from ec2tasks.commands.history import all_jobs, named, pick_job
from ec2tasks.commands.record import Record
from ec2tasks.lifecycle.acquire import NotRunningError, check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.outcome import Outcome, Results
from ec2tasks.remote import job as jobs
from ec2tasks.remote.end_job import GRACE, EndedBy, cancel_job
from ec2tasks.remote.job import JobStatus
from ec2tasks.remote.job_name import lines, short_forms, words

SAID = {
    EndedBy.BEFORE: "has ended",
    EndedBy.INT: "has ended, as by Ctrl-C",
    EndedBy.HUP: "has ended, as by a terminal that closes",
    EndedBy.TERM: "has ended once it was told to (SIGTERM)",
    EndedBy.KILL: "was killed: it had not ended when it was told to",
}


def cancel(context: CallContext, wanted: str, *, fetches: bool, verbose: bool) -> int:
    """End a job, fetch its results, release the instance as its run asked; 125 where results are not here.

    `wanted` is a form that names it; empty for the only one that runs. Nothing is launched or started for it.
    Raises UsageError where no job or several are meant, Failure where no instance runs or it goes on.
    """
    check_local_tools(context, moves=fetches)
    try:
        listed = all_jobs(context)
    except NotRunningError as halted:
        hint = "`ec2tasks finish` starts it, fetches the results and ends it"
        raise Failure(f"{halted.what}: no command runs on it", hint=hint) from halted
    job = job_to_cancel(listed, wanted)
    if job is None:
        output.step("no command runs on the instance")
        return 0
    if job.over:
        how = "was lost" if job.code is None else f"has ended already, with {job.code}"
        output.step(f"{words(named([job])[0])} {how}")
        output.hint(f"`ec2tasks finish {short_forms(named(listed))[job.job_id]}` fetches its results")
        return 0
    outcome = see_to_its_end(context, job.job_id, fetches=fetches, verbose=verbose, until=_cancelled)
    return FAILURE_CODE if fetches and outcome.results is Results.MISSING else 0


def job_to_cancel(listed: Sequence[JobStatus], wanted: str) -> JobStatus | None:
    """The job that is meant: the one named so, else the only one that runs; None where none does.

    Raises UsageError where none is named so, or several are meant.
    """
    if wanted:
        return pick_job(listed, wanted)
    running = [job for job in listed if job.state == "running"]
    if len(running) > 1:
        raise UsageError(
            f"{len(running)} commands run on the instance",
            lines=lines(named(running), among=named(listed)),
            hint=f"`ec2tasks cancel {short_forms(named(listed))[running[0].job_id]}` ends the first of them",
        )
    return next(iter(running), None)


def _cancelled(record: Record, job: JobStatus) -> Outcome:
    """End it, and tell how. Raises Failure where it goes on all the same, LostJobError as for any other."""
    host, tools, what = record.lease.host, record.lease.context.tools, words(named([job])[0])
    output.step(f"ending {what}")
    try:
        with waiting(f"its end, by force after {GRACE:.0f} s"):
            by = cancel_job(host, job.job_id, tools)
    except KeyboardInterrupt:
        output.step("it is being ended there all the same")
        output.hint(f"`ec2tasks finish {job.job_id}` waits for that and fetches its results")
        raise
    if by is EndedBy.NOTHING:
        raise Failure(
            f"{what} goes on although it was killed: its process does not react",
            hint="`ec2tasks down --stop` stops the instance, whose disk stays",
        )
    output.step(f"{what} {SAID[by]}")
    status = jobs.job_status(host, tools, job.job_id)
    return Outcome(code=jobs.exit_code(status or job))
