"""Which job `attach` and `finish` come back to: the last that was wanted, unless it never began."""

from __future__ import annotations

from dataclasses import replace

from ec2tasks.base.errors import Failure
from ec2tasks.commands.history import pick_job
from ec2tasks.lifecycle import wanted_job
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import JobStatus, UnbegunJob


class NeverBegunError(Failure):
    """The job that was wanted last never began.

    `final_state`: what was to become of the instance after it, if anything.
    """

    def __init__(self, job: UnbegunJob) -> None:
        super().__init__(
            f"job {job.job_id}, the last one wanted here, never began: its client ended before",
            hint="the same command again runs it; `ec2tasks jobs` lists what ran, for `ec2tasks finish JOB`",
        )
        self.job_id = job.job_id
        self.final_state = job.final_state


def job_left_running(lease: Lease, wanted: str) -> JobStatus:
    """The job to come back to. Raises NeverBegunError where the last one that was wanted has not begun."""
    host, tools = lease.host, lease.context.tools
    if wanted:
        return pick_job(jobs.list_jobs(host, tools), wanted)
    job, unbegun = jobs.job_to_come_back_to(host, tools)
    unbegun = later(unbegun, _wanted_here(lease, job))
    if unbegun and not (job and job.state == "running"):
        raise _unbegun_error(unbegun)
    if job is None:
        raise Failure(
            "no command was left running on the instance",
            hint='`ec2tasks run --detach "COMMAND"` leaves one; `ec2tasks down` ends the instance',
        )
    return job


def _wanted_here(lease: Lease, job: JobStatus | None) -> UnbegunJob | None:
    """The job that a client of this machine wanted, later than that one, and that has not begun."""
    context = lease.context
    known = wanted_job.read(context.state, context.key)
    if known is None or (job and job.job_id > known.job_id):
        return None
    if (job and job.job_id == known.job_id) or jobs.job_status(lease.host, context.tools, known.job_id):
        wanted_job.has_begun(context.state, context.key, known.job_id)
        return None
    return known


def later(there: UnbegunJob | None, here: UnbegunJob | None) -> UnbegunJob | None:
    """Which of these jobs was wanted last; of one job, the instance and this machine may know half each."""
    if there and here and there.job_id == here.job_id:
        return replace(there, coming=there.coming or here.coming)
    return max(filter(None, (there, here)), key=lambda job: job.job_id, default=None)


def _unbegun_error(job: UnbegunJob) -> Failure:
    if not job.coming:
        return NeverBegunError(job)
    return Failure(
        f"job {job.job_id} has not begun yet: its client is still at it",
        hint="`ec2tasks jobs` lists it once it runs",
    )
