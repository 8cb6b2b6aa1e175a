"""Leaving the instance: the last one out applies the end of life, whatever happened before."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.errors import error_text, explain, is_transient
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import ENDS, FinalState, Verdict, decide
from ec2tasks.base.project_dir import prepare
from ec2tasks.base.signals import uninterrupted
from ec2tasks.base.state import lock
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.acquire import host_of
from ec2tasks.lifecycle.operation import Results, Stay
from ec2tasks.remote import job as jobs
from ec2tasks.remote.usage_mark import was_used
from ec2tasks.ssh.connect import close_master, forget_host

ARRIVAL_PATIENCE = 30.0  # seconds that a leaving client waits for those who are just arriving


def end_beside_failure(stay: Stay) -> None:
    """Apply the end of life on the way out of a failure, which stays the one to tell."""
    try:
        end(stay)
    except Failure as error:
        output.warning(error.what, hint=error.hint)


def end(stay: Stay) -> None:
    """Leave the instance and apply its end of life."""
    call, arrival = stay.call, stay.arrival
    if arrival.instance is None:
        return
    if arrival.instance.state == "stopped" and not (arrival.started or stay.joined or stay.intent.explicit):
        return  # it could not be started, and is as it was
    if stay.gone:
        _forget(stay)
        return
    with uninterrupted(), lock(call.state, f"arriving-{call.key}", patience=ARRIVAL_PATIENCE):
        leaving = stay.leave()
        # Without a session of our own we can't ask the instance, but know of this machine's other clients.
        if leaving is None and stay.joined and not stay.detached and stay.ask_state() is None:
            _say_gone(stay, arrival.instance)
            _forget(stay)
            return
        if stay.intent.looks and not stay.detached:
            return  # what becomes of it is not for who only looked
        with lock(call.state, f"present-{call.key}", patience=0) as alone:
            stay.shared = not leaving.last if leaving else not alone and not stay.joined
        if arrival.launched and not stay.joined and not stay.shared:
            stay.shared = _somebody_there(stay)
        all_here = stay.results is Results.FETCHED and leaving is not None and leaving.bare
        verdict = decide(stay.facts(leaving))
        if leaving and verdict.ending is FinalState.TERMINATE:
            tell(stay, leaving.untold)
        apply(stay, verdict, fetched=all_here)


def tell(stay: Stay, untold: Sequence[str]) -> None:
    """Say how these runs ended, which no client was there to see; what they printed is kept here."""
    if not untold:
        return
    try:
        folder = prepare(stay.call.project.root) / "logs"
        found = [run for run in jobs.list_jobs(stay.host, stay.call.tools) if run.job_id in untold]
        folder.mkdir(exist_ok=True)
        for run in found:
            words = " ".join((run.command or "a shell").split())
            where = jobs.save_output(stay.host, run.job_id, folder, stay.call.tools)
            output.warning(
                f"run {run.job_id} (`{words[:60]}`) ended with {run.code} while nobody was there",
                hint=f"what it printed is in {where.relative_to(stay.call.project.root)}",
            )
    except (Failure, OSError) as error:
        output.warning(f"{len(untold)} runs ended while nobody was there, and can't be told of: {error}")


def _forget(stay: Stay) -> None:
    """Forget an instance that is gone: there is nothing left to end."""
    journal.finish(stay.call.state, stay.call.key)
    if stay.arrival.host:
        forget_host(stay.arrival.host, stay.call.tools)


def _say_gone(stay: Stay, found: Instance) -> None:
    """Say that somebody else, or AWS, has terminated the instance."""
    lost = (
        ""
        if stay.results is not Results.MISSING or not stay.touched
        else ", and with it what was not fetched"
    )
    output.warning(
        f"{found.where}: terminated, but not by this run{lost}", hint="the next run launches another"
    )


def _somebody_there(stay: Stay) -> bool:
    """Whether somebody, say on another machine, has got on what this call launched and never got on."""
    call, launched = stay.call, stay.arrival.instance
    try:
        now = instances.describe_instance(call.aws, launched.id) if launched else None
        return bool(now and now.address and was_used(host_of(call, now), call.aws, call.tools))
    except Exception as error:
        if explain(error) is None and not isinstance(error, Failure):
            raise
        return False  # it can't be asked; that it can't be ended either is for that call to say


def apply(stay: Stay, verdict: Verdict, *, fetched: bool = False) -> None:
    """Do what was decided; say it, why, and what to type next. Raises Failure where AWS won't.

    `fetched`: all that is there has been fetched, so that it can be terminated without another look.
    """
    call, found = stay.call, stay.arrival.instance
    assert found is not None
    verdict = _carried_out(stay, found, verdict, fetched=fetched)
    stay.ended = verdict.ending
    if verdict.because:
        output.warning(f"{found.where}: {PAST[verdict.ending]}, because {verdict.because}", hint=verdict.hint)
    else:
        output.step(f"{found.where}: {PAST[verdict.ending]}")
        if verdict.hint:
            output.hint(verdict.hint)
    if verdict.ending is FinalState.TERMINATE:
        _forget(stay)
    elif stay.arrival.host and verdict.ending is FinalState.STOP:
        close_master(stay.arrival.host, call.tools)


def _carried_out(stay: Stay, found: Instance, verdict: Verdict, *, fetched: bool) -> Verdict:
    """Do what was decided, or stop what AWS does not terminate: a right may be missing, or it is protected.

    Raises Failure where AWS does neither, or where nothing but the termination was asked for.
    """
    if verdict.ending is FinalState.STOP and found.state in instances.HALTED:
        return verdict  # AWS remembers who stopped it last, and why
    try:
        start_and_end.end(stay.call.aws, found, verdict.ending, fetched=fetched)
        return verdict
    except Exception as error:
        known = explain(error)
        what = known.what if known else error_text(error)
        hint = f"{known.hint}; then `ec2tasks down` ends it" if known and known.hint else ENDS
        stoppable = verdict.ending is FinalState.TERMINATE and not found.spot and not is_transient(error)
        if not stoppable or not _is_stopped(stay, found, fetched=fetched):
            raise Failure(
                f"{found.where} could not be ended and may still cost money: {what}", hint=hint
            ) from error
        if stay.intent.explicit:
            raise Failure(
                f"{found.where} could not be terminated, and is stopped; its disk still costs: {what}",
                hint=hint,
            ) from error
        return Verdict(ending=FinalState.STOP, because=f"it could not be terminated: {what}", hint=ENDS)


def _is_stopped(stay: Stay, found: Instance, *, fetched: bool) -> bool:
    """Whether AWS stops what it does not terminate; the first refusal is the one to tell."""
    with contextlib.suppress(Exception):
        start_and_end.end(stay.call.aws, found, FinalState.STOP, fetched=fetched)
        return True
    return False


PAST = {FinalState.LEAVE: "left running", FinalState.STOP: "stopped", FinalState.TERMINATE: "terminated"}
