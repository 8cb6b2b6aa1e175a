"""Releasing the instance: the last client out applies the final state, whatever happened before."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timezone

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.credential_errors import EndedError
from ec2tasks.aws.errors import error_text, explain, is_transient
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.project_dir import make_own_folder
from ec2tasks.base.signals import uninterrupted
from ec2tasks.base.state import drop_cached, lock
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.credentials_end import ended_words
from ec2tasks.lifecycle.find import forget_entry, host_of
from ec2tasks.lifecycle.ignored import with_ignored_files
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome, Results
from ec2tasks.lifecycle.release_decision import ENDS, Decision, Facts, decide
from ec2tasks.records import ledger
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import JobStatus
from ec2tasks.remote.job_name import short_title, title_of
from ec2tasks.remote.notice import EndReason
from ec2tasks.remote.session import Departure, SessionMode
from ec2tasks.remote.usage_mark import was_used
from ec2tasks.ssh.connect import close_master, forget_host

ARRIVAL_PATIENCE = 30.0  # seconds that a leaving client waits for those who are just arriving
PAST = {FinalState.LEAVE: "left running", FinalState.STOP: "stopped", FinalState.TERMINATE: "terminated"}


def release_after_failure(lease: Lease, outcome: Outcome) -> None:
    """Release the instance on the way out of a failure, which stays the one to tell."""
    try:
        release(lease, outcome)
    except Failure as error:
        output.warn_of(error)


def release(lease: Lease, outcome: Outcome) -> FinalState | None:
    """Leave the instance and apply its final state; returns that, None where it was not ours to decide.

    Raises Failure where AWS does not do what was decided.
    """
    operation, acquired = lease.operation, lease.acquired
    context = lease.context
    if acquired.instance is None:
        return None
    untouched = not (acquired.started or lease.session or operation.explicit)
    if acquired.instance.state == "stopped" and untouched:
        return None  # it could not be started, and is as it was
    if outcome.end is End.GONE:
        _forget(lease)
        return None
    with uninterrupted(), lock(context.state, f"arriving-{context.key}", patience=ARRIVAL_PATIENCE):
        answer = lease.leave(outcome)
        # Without a session of our own we can't ask the instance, but know of this machine's other clients.
        lost = answer is None and lease.session and not outcome.left_running
        if lost and _is_terminated(lease, outcome):
            return None
        if operation.mode is SessionMode.WATCH and not outcome.left_running:
            return None  # what becomes of it is not for who only watched
        others = _others(lease, answer)
        all_here = outcome.results is Results.FETCHED and answer is not None and answer.bare
        facts = release_facts(lease, outcome, answer, others=others)
        decision = decide(facts)
        if decision.final_state is FinalState.TERMINATE:
            decision = decide(with_ignored_files(lease, facts))
        if answer and decision.final_state is FinalState.TERMINATE:
            _tell_unseen_ends(lease, answer.untold)
        return apply(lease, decision, fetched=all_here)


def _others(lease: Lease, answer: Departure | None) -> bool | None:
    """Whether other clients are on the instance; None where that could not be asked."""
    context = lease.context
    with lock(context.state, f"present-{context.key}", patience=0) as alone:
        others = not answer.last if answer else not alone and not lease.session
    if lease.acquired.launched and not lease.session and not others:
        others = _somebody_there(lease)
    return others if answer or others else None


def release_facts(lease: Lease, outcome: Outcome, answer: Departure | None, *, others: bool | None) -> Facts:
    """The facts for the decision: what was asked, what happened, what the instance answered."""
    operation, acquired = lease.operation, lease.acquired
    # A later session's final state replaces an earlier one's: the instance knows which came last.
    asked = answer.final_state if answer else None
    as_found = FinalState.STOP if acquired.started else FinalState.LEAVE
    wanted = asked or outcome.final_state or lease.final_state or as_found
    by_default = operation.default_end and not (operation.final_state or acquired.launched)
    return Facts(
        wanted=FinalState.LEAVE if outcome.left_running else wanted,
        explicit=operation.explicit,
        launched=acquired.launched,
        started=acquired.started,
        joined=lease.session is not None,
        used=lease.used,
        results_here=outcome.results is not Results.MISSING and not (answer and answer.unfetched),
        others=others,
        can_stop=not lease.instance.spot,
        job=answer.job_id if answer else "",
        other_folder=answer.elsewhere if answer else "",
        as_found=bool(by_default) and wanted is as_found,
        background=answer.left if answer else "",
        halted=_ended_by(lease),
        end=outcome.end,
    )


def _tell_unseen_ends(lease: Lease, job_ids: Sequence[str]) -> None:
    """Say how these jobs ended, which no client was there to see; what they printed is kept here."""
    if not job_ids:
        return
    context = lease.context
    root = context.project.root
    try:
        folder = make_own_folder(root) / "logs"
        unseen = [job for job in jobs.list_jobs(lease.host, context.tools) if job.job_id in job_ids]
        folder.mkdir(exist_ok=True)
        for job in unseen:
            ledger.append(root, unseen_values(job))
            title = short_title(title_of(job.command))
            path = jobs.save_output(
                lease.host, job.job_id, folder, context.tools, log_mb=context.settings.log_mb
            )
            output.warning(
                f"job {job.job_id} (`{title}`) ended with {job.code} while nobody followed it",
                hint=f"what it printed is in {path.relative_to(root)}",
            )
    except (Failure, OSError) as error:
        output.warning(f"{len(job_ids)} jobs ended while nobody followed it, and can't be told of: {error}")


def unseen_values(job: JobStatus) -> dict[str, object]:
    """What the ledger is to hold of a job that ended with nobody there."""
    began, ended = (
        moment and datetime.fromtimestamp(moment, tz=timezone.utc) for moment in (job.started, job.ended)
    )
    ran = {"ran": max(0.0, (ended - began).total_seconds())} if began and ended else {}
    values = {"job": job.job_id, "state": "ended", "command": job.command, "code": job.code}
    return {**values, "began": began, "ended": ended, "phases": ran}


def _forget(lease: Lease) -> None:
    """Forget an instance that is gone: there is nothing left to end."""
    context = lease.context
    launch_journal.finish(context.state, context.key)
    _forget_entry(lease)
    drop_cached(context.state, context.key)
    if lease.acquired.host:
        forget_host(lease.acquired.host, context.tools)


def _is_terminated(lease: Lease, outcome: Outcome) -> bool:
    """Whether others have terminated the instance, which is said; else what it is by now is taken down."""
    instance = lease.observe()
    if instance:
        lease.acquired.instance = instance
        return False
    _forget(lease)
    lost = outcome.results is Results.MISSING and lease.used
    output.warning(
        f"{lease.instance.where}: terminated, but not by this run"
        f"{', and with it what was not fetched' if lost else ''}",
        hint="the next run launches another",
    )
    return True


def _ended_by(lease: Lease) -> str:
    """Why the instance is stopped already; empty where it is not, or never was this call's to use."""
    if lease.session is None or lease.instance.state not in instances.HALTED:
        return ""
    known = lease.notice and lease.notice.reason is not EndReason.SPOT
    return f"{lease.notice.reason.value} ended it" if lease.notice and known else "it was stopped meanwhile"


def _somebody_there(lease: Lease) -> bool:
    """Whether somebody, say on another machine, has got on what this call launched and never got on."""
    context = lease.context
    try:
        instance = instances.describe_instance(context.aws, lease.instance.id)
        reachable = instance is not None and instance.address_by(context.settings.via) is not None
        return bool(
            instance and reachable and was_used(host_of(context, instance), context.aws, context.tools)
        )
    except Exception as error:
        if explain(error) is None and not isinstance(error, Failure):
            raise
        return False  # it can't be asked; that it can't be ended either is for that call to say


def apply(lease: Lease, decision: Decision, *, fetched: bool = False) -> FinalState:
    """Do what was decided; say it, why, and what to type next. Returns what the instance is left as.

    `fetched`: all that is there has been fetched, so that it can be terminated without another look. Raises
    Failure where AWS won't.
    """
    instance = lease.instance
    decision = _carried_out(lease, instance, decision, fetched=fetched)
    result = f"{instance.where}: {PAST[decision.final_state]}"
    if decision.reason:
        output.warning(f"{result}, because {decision.reason}", hint=decision.hint)
    elif not (lease.operation.sweep and decision.final_state is FinalState.LEAVE):
        output.step(result)
        if decision.hint:
            output.hint(decision.hint)
    if decision.final_state is FinalState.TERMINATE:
        _forget(lease)
    elif decision.final_state is FinalState.STOP:
        _forget_entry(lease)
        if lease.acquired.host:
            close_master(lease.host, lease.context.tools)
    return decision.final_state


def _forget_entry(lease: Lease) -> None:
    """Take its entry away from the user's own ssh, before anything that may fail."""
    forget_entry(lease.context, lease.context.settings.name, instance_id=lease.instance.id)


def _carried_out(lease: Lease, instance: Instance, decision: Decision, *, fetched: bool) -> Decision:
    """Do what was decided, or stop what AWS does not terminate: a right may be missing, or it is protected.

    Raises Failure where AWS does neither, or where nothing but the termination was asked for.
    """
    if decision.final_state is FinalState.STOP and instance.state in instances.HALTED:
        return decision  # AWS remembers who stopped it last, and why
    try:
        start_and_end.end(lease.context.aws, instance, decision.final_state, fetched=fetched)
        return decision
    except Exception as error:
        known = explain(error)
        if isinstance(known, EndedError) and not lease.operation.explicit:
            reason, what_next = ended_words(known, lease.context.settings.idle_stop)
            return Decision(final_state=FinalState.LEAVE, reason=reason, hint=what_next)
        what = known.what if known else error_text(error)
        hint = f"{known.hint}; then `ec2tasks down` ends it" if known and known.hint else ENDS
        terminating = decision.final_state is FinalState.TERMINATE
        stoppable = terminating and not instance.spot and not is_transient(error)
        if not stoppable or not _is_stopped(lease, instance, fetched=fetched):
            raise Failure(
                f"{instance.where} could not be ended and may still cost money: {what}", hint=hint
            ) from error
        if lease.operation.explicit:
            raise Failure(
                f"{instance.where} could not be terminated, and is stopped; its disk still costs: {what}",
                hint=hint,
            ) from error
        return Decision(final_state=FinalState.STOP, reason=f"it could not be terminated: {what}", hint=ENDS)


def _is_stopped(lease: Lease, instance: Instance, *, fetched: bool) -> bool:
    """Whether AWS stops what it does not terminate; the first refusal is the one to tell."""
    with contextlib.suppress(Exception):
        start_and_end.end(lease.context.aws, instance, FinalState.STOP, fetched=fetched)
        return True
    return False
