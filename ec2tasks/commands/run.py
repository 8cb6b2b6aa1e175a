"""Runs a command on the instance: up, push, job, pull, release; on a new one where AWS takes a spot back."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import cache, partial

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.terminal import has_input, on_terminal, terminal_size
from ec2tasks.commands.environment import begin, wanted_environment
from ec2tasks.commands.fetch import fetch, move_files, while_fetching
from ec2tasks.commands.first_push import look_at_first_push
from ec2tasks.commands.left_behind import tell_left_behind
from ec2tasks.commands.preflight import check_run
from ec2tasks.commands.reconnect import JobConnection
from ec2tasks.commands.record import Record
from ec2tasks.commands.supervise import supervise
from ec2tasks.commands.use import JobUse
from ec2tasks.config.parsers import LEAST_SUM
from ec2tasks.config.settings import Settings
from ec2tasks.lifecycle import wanted_job
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import (
    End,
    InstanceGoneError,
    Outcome,
    Results,
    SpotTakenError,
    attempt,
)
from ec2tasks.lifecycle.scope import with_instance
from ec2tasks.lifecycle.spot import check_taken, ended_by_notice, named_as_taken
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import Job, forwarded
from ec2tasks.sync.engine import SyncOptions

CAPACITY_PAUSE = 30.0  # seconds until a resumed run asks AWS for an instance again


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a run is asked to do, beside its settings; `command` None is a login shell.

    `recipe`: what of the Makefile that is, `sweep`: which sweep that belongs to. `pooled`: where AWS has no
    instance for it, it waits for another one. `sync`: files move. `variables` are for the command alone;
    `beside` goes on here for as long as it runs.
    """

    command: str | None
    recipe: str = ""
    sweep: str = ""
    pooled: bool = False
    sync: bool = True
    verbose: bool = False
    detach: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    beside: Callable[[Lease], contextlib.AbstractContextManager[object]] = contextlib.nullcontext

    def told(self) -> dict[str, object]:
        """What the ledger is to hold of it."""
        return {"command": self.command, "recipe": self.recipe, "sweep": self.sweep or None}


def run(context: CallContext, request: RunRequest, *, environ: Mapping[str, str] = os.environ) -> int:
    """Up, push, run, pull, release; returns the command's exit code, 125 where its results are not here.

    Where AWS takes a spot instance back and the settings say `resume`, the same again on a new instance, from
    the results fetched so far.
    """
    settings = context.settings
    check_run(context, sync=request.sync)
    if request.sync:
        context = replace(context, before_launch=cache(partial(look_at_first_push, context)))
    used = spent = 0.0
    for resumed in itertools.count():
        began = time.monotonic()
        try:
            left = replace(context, settings=remaining(settings, used, spent))
            return _run_once(left, request, environ, resumed)
        except SpotTakenError as taken:
            used += time.monotonic() - began
            spent += taken.cost or 0.0
            if not settings.resume or 0 < settings.max_hours <= used or 0 < settings.max_cost <= spent:
                raise
            output.warning(taken.what)
            output.step("resume: the command begins again on a new instance, from what has been fetched")
        except NoCapacityError as full:
            if not resumed:
                raise
            output.step(f"{full.what.splitlines()[0]}; asking again in {CAPACITY_PAUSE:.0f} s")
            time.sleep(CAPACITY_PAUSE)
    raise AssertionError("unreachable")


def remaining(settings: Settings, used: float, spent: float = 0.0) -> Settings:
    """The settings with what a run's earlier instances, so many seconds and dollars, left of its limits."""
    left = settings
    if used and settings.max_hours:
        left = replace(left, max_hours=max(1, round(settings.max_hours - used)))
    if spent and settings.max_cost:
        left = replace(left, max_cost=max(LEAST_SUM, settings.max_cost - spent))
    return left


def _run_once(context: CallContext, request: RunRequest, environ: Mapping[str, str], resumed: int) -> int:
    operation = _operation(context, request)
    lease, timings = Lease(operation=operation), Timings()
    environment = wanted_environment(context, environ)
    asked = {**request.told(), "environment": environment.key or None}
    record = Record(lease=lease, timings=timings, fetches=request.sync, waits=request.pooled, asked=asked)
    use = JobUse(lease=lease, job_id=operation.job_id)
    job = replace(_job(context, request, environ, operation.job_id, resumed), environment=environment)

    def work() -> Outcome:
        tell_left_behind(lease.session.running if lease.session else ())
        prepared = begin(lease, environment, job.variables)
        with timings.time("synced"):
            _push(lease, request)
        prepared(timings)
        outcome = _run_and_fetch(lease, request, job, record, use)
        use.fetch(outcome, ran=timings.seconds.get("ran", 0.0))
        return outcome

    def files() -> Mapping[str, str]:
        return jobs.job_files(replace(job, final_state=lease.final_state or FinalState.LEAVE))

    record.begin()
    with wanted_job.wanted(context.state, context.key, operation.job_id, operation.final_state):
        outcome = record.of(lambda: with_instance(lease, work, timings, files=files, may_launch=True))
    use.say_end(outcome, timings)
    return outcome.exit_code(fetches=request.sync)


def _operation(context: CallContext, request: RunRequest) -> Operation:
    settings, final_state = context.settings, FinalState(context.settings.final_state)
    return Operation(
        context=context,
        final_state=final_state if settings.given("final_state") else None,
        default_end=final_state,
        detaches=request.detach,
        sweep=request.sweep,
        fetches=request.sync,
    )


def _push(lease: Lease, request: RunRequest) -> None:
    if request.sync:
        # What an earlier run left there and nobody fetched would be overwritten by this one.
        options = SyncOptions(push=True, pull=not lease.all_fetched, verbose=request.verbose)
        with named_as_taken(lease):
            move_files(lease, options)


def _run_and_fetch(lease: Lease, request: RunRequest, job: Job, record: Record, use: JobUse) -> Outcome:
    """Run the job, then fetch what it made, however it ended."""
    lease.job_begun, timings = True, record.timings

    def work() -> Outcome:
        with timings.time("ran"), request.beside(lease):
            return _run_job(lease, request, job, record)

    if not request.sync:
        outcome = attempt(work)
        given_up = outcome.job_over and lease.all_fetched
        return replace(outcome, results=Results.GIVEN_UP if given_up else Results.MISSING)
    outcome = attempt(lambda: while_fetching(lease, work, beside=use.keep))
    if outcome.left_running or isinstance(outcome.failure, InstanceGoneError):
        return outcome
    with timings.time("fetched"):
        fetched = fetch(lease, outcome, verbose=request.verbose)
    if fetched.results is Results.MISSING:
        fetched = attempt(partial(_unless_taken, lease, fetched))
    if outcome.job_over:
        return ended_by_notice(lease, fetched) if lease.context.settings.resume else fetched
    # A job whose end was not seen may still run, and make more.
    return replace(fetched, results=Results.MISSING)


def _unless_taken(lease: Lease, outcome: Outcome) -> Outcome:
    check_taken(lease)
    return outcome


def multiplexer(context: CallContext, request: RunRequest) -> str:
    """What the command runs in there; a detached one in tmux unless a setting says otherwise."""
    return context.settings.multiplex or ("tmux" if request.detach else "none")


def _run_job(lease: Lease, request: RunRequest, job: Job, record: Record) -> Outcome:
    """Run the job to its end, or until it is left to itself."""
    context, tools = lease.context, lease.context.tools

    def begun() -> None:
        wanted_job.has_begun(context.state, context.key, job.job_id)
        record.begun()

    if request.detach or job.multi != "none":
        jobs.start(lease.host, job, tools)
        begun()
    if request.detach or (job.multi != "none" and not on_terminal()):
        # Nobody is going to look at the multiplexer's terminal.
        jobs.release(lease.host, job.job_id, tools)
    if request.detach:
        return Outcome(end=End.DETACHED)
    connection = JobConnection(lease=lease, job=job, on_begun=begun, on_printed=record.tail.add)
    return supervise(connection, start=job.multi == "none")


def _job(
    context: CallContext, request: RunRequest, environ: Mapping[str, str], job_id: str, resumed: int
) -> Job:
    settings, multi = context.settings, multiplexer(context, request)
    # What a command may look at that knows how to go on where it was.
    again = {"EC2TASKS_RESUMED": str(resumed)} if resumed else {}
    terminal = multi == "none" and not request.detach and on_terminal()
    return Job(
        job_id=job_id,
        command=request.command,
        remote_dir=settings.remote_dir,
        below=str(context.project.below),
        variables={**forwarded(settings.forward_env, environ), **request.variables, **again},
        ports=settings.ports,
        reverse_ports=settings.reverse_ports,
        multi=multi,
        terminal=terminal,
        fed=terminal or (not request.detach and has_input()),
        log_mb=settings.log_mb,
        size=terminal_size() if terminal else (24, 80),
        term=environ.get("TERM", "xterm-256color"),
        warn_before=settings.warn_before,
        notice_signal=settings.notice_signal,
    )
