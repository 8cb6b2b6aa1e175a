"""The lines that the tasks are: each stage in its order."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.aws.instances import HALTED, Instance
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.base.final_state import FinalState, Verdict
from ec2tasks.base.project import check_syncable
from ec2tasks.commands.preflight import check_run
from ec2tasks.commands.supervise import SpotTakenError, attended, check_taken, taken_back
from ec2tasks.commands.transfer import fetch as fetch_results
from ec2tasks.commands.transfer import fetched_meanwhile, move_files
from ec2tasks.config.settings import Settings
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.acquire import Arrival, check_here, find, get_on
from ec2tasks.lifecycle.context import Call
from ec2tasks.lifecycle.operation import Intent, Results, Stay, joined
from ec2tasks.lifecycle.release import apply, end_beside_failure
from ec2tasks.lifecycle.scope import interruptible, on_board
from ec2tasks.lifecycle.timing import Phases
from ec2tasks.remote import job as jobs
from ec2tasks.remote.follow import feeds, terminal_size
from ec2tasks.remote.job import Job, LostJobError, forwarded, on_terminal
from ec2tasks.sync.engine import Moves
from ec2tasks.sync.engine import differences as compare_trees
from ec2tasks.sync.reconcile import Change

CAPACITY_PAUSE = 30.0  # seconds until a resumed run asks AWS for an instance again


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What this call is asked to do, beside its settings; `command` None is a login shell.

    `variables` are for the command alone; `beside` goes on here for as long as it runs.
    """

    command: str | None
    sync: bool = True
    verbose: bool = False
    detach: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    beside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


def run(call: Call, wish: Wish, *, environ: Mapping[str, str] = os.environ) -> int:
    """Up, push, run, pull, end of life; the command's own exit code, 125 where its results are not here.

    Where AWS takes a spot instance back and the settings say `resume`, the same again on a new instance, from
    the results fetched so far.
    """
    settings = call.settings
    check_run(call, sync=wish.sync)
    used = 0.0
    for resumed in itertools.count():
        began = time.monotonic()
        try:
            return _run_once(replace(call, settings=remaining(settings, used)), wish, environ, resumed)
        except SpotTakenError as taken:
            used += time.monotonic() - began
            if not settings.resume or 0 < settings.max_hours <= used:
                raise
            output.warning(taken.what)
            output.step("resume: the command begins again on a new instance, from what has been fetched")
        except NoCapacityError as full:
            if not resumed:
                raise
            output.step(f"{full.what.splitlines()[0]}; asking again in {CAPACITY_PAUSE:.0f} s")
            time.sleep(CAPACITY_PAUSE)
    raise AssertionError("unreachable")


def remaining(settings: Settings, used: float) -> Settings:
    """The same settings with what earlier instances of a run have left of its max_hours, in seconds."""
    if not used or not settings.max_hours:
        return settings
    return replace(settings, max_hours=max(1, round(settings.max_hours - used)))


def _run_once(call: Call, wish: Wish, environ: Mapping[str, str], resumed: int) -> int:
    stay = Stay(
        call=call,
        intent=Intent(end=FinalState(call.settings.final_state), detaches=wish.detach),
        results=Results.MISSING if wish.sync else Results.GIVEN_UP,
    )
    job = _job(call, wish, environ, job_id=stay.job_id, resumed=resumed)
    phases = Phases()
    with interruptible(), on_board(stay, phases, files=jobs.job_files(job), may_launch=True):
        with phases.time("synced"):
            stay.touched = not stay.arrival.launched
            if wish.sync:
                # What an earlier run left there and nobody fetched would be overwritten by this one.
                moves = Moves(push=True, pull=not stay.clean, verbose=wish.verbose)
                with taken_back(stay):
                    move_files(stay, moves)
            elif not stay.clean:
                stay.results = Results.MISSING
        stay.touched = True
        code = _run_and_fetch(stay, wish, job, phases)
    if stay.detached:
        return code
    output.step(phases.line(stay.cost()))
    return stay.exit_code(code, fetch=wish.sync)


def _run_and_fetch(stay: Stay, wish: Wish, job: Job, phases: Phases) -> int:
    """Run the command, then fetch what it made, however it ended."""
    meanwhile = fetched_meanwhile(stay) if wish.sync else contextlib.nullcontext()
    # A command whose end was not seen may still run, and bring more.
    over, before, stay.results = False, stay.results, Results.MISSING
    try:
        with phases.time("ran"), wish.beside(), meanwhile:
            code = _run_there(stay, wish, job)
        over = not stay.detached
    except LostJobError:
        over = True
        raise
    finally:
        here = before if not wish.sync else Results.MISSING
        if wish.sync and not stay.detached and not stay.gone:
            with phases.time("fetched"):
                here = fetch_results(stay, verbose=wish.verbose)
            if here is Results.MISSING:
                check_taken(stay)
        if over:
            stay.results = here
    return code


def multiplexer(call: Call, wish: Wish) -> str:
    """What the command runs in there; a detached one in tmux unless a setting says otherwise."""
    return call.settings.multiplex or ("tmux" if wish.detach else "none")


def _run_there(stay: Stay, wish: Wish, job: Job) -> int:
    """Run the command to its end, or until it is left to itself; its exit code, or that of leaving it."""
    call = stay.call
    if wish.detach or job.multi != "none":
        jobs.start(stay.host, job, call.tools)
    if wish.detach or (job.multi != "none" and not on_terminal()):
        # Nobody is going to look at the multiplexer's terminal.
        jobs.release(stay.host, job.job_id, call.tools)
    if wish.detach:
        stay.detached = True
        return 0
    return attended(stay, job, start=job.multi == "none")


def _job(call: Call, wish: Wish, environ: Mapping[str, str], *, job_id: str, resumed: int) -> Job:
    settings, multi = call.settings, multiplexer(call, wish)
    # What a command may look at that knows how to go on where it was.
    again = {"EC2TASKS_RESUMED": str(resumed)} if resumed else {}
    terminal = multi == "none" and not wish.detach and on_terminal()
    return Job(
        job_id=job_id,
        command=wish.command,
        remote_dir=settings.remote_dir,
        below=str(call.project.below),
        env=settings.env,
        variables={**forwarded(settings.forward_env, environ), **wish.variables, **again},
        ports=settings.ports,
        reverse_ports=settings.reverse_ports,
        multi=multi,
        final_state=settings.final_state,
        terminal=terminal,
        fed=terminal or (not wish.detach and feeds()),
        log_mb=settings.log_mb,
        size=terminal_size() if terminal else (24, 80),
        term=environ.get("TERM", "xterm-256color"),
    )


def up(call: Call) -> Instance:
    """Find, launch or start the instance and get it ready; it is left running."""
    check_here(call)
    stay = Stay(call=call, intent=Intent(alters=False))
    try:
        with interruptible():
            host = get_on(call, stay.arrival, may_launch=True)
            if any(call.settings.given(name) for name in ("idle_stop", "max_hours")):
                # It takes a session to hand the guard its new limits.
                with joined(stay, host, {}):
                    pass
    except BaseException:
        end_beside_failure(stay)
        raise
    assert stay.arrival.instance is not None
    return stay.arrival.instance


def sync(call: Call, *, push: bool, pull: bool, verbose: bool) -> None:
    """Push, then pull. An instance that was stopped is stopped again afterwards."""
    check_here(call)
    check_syncable(call.project, call.home)
    stay = Stay(call=call, intent=Intent(), touched=True)
    phases = Phases()
    with interruptible(), on_board(stay, phases), phases.time("synced"):
        move_files(stay, Moves(push=push, pull=pull, verbose=verbose))
        # What is sent to where all had been fetched is here, too.
        if pull or stay.clean:
            stay.results = Results.FETCHED
    output.step(phases.line(None))


def differences(call: Call) -> list[Change]:
    """What a sync would move, and why; nothing moves. An instance that was stopped is stopped again."""
    check_here(call)
    check_syncable(call.project, call.home)
    stay = Stay(call=call, intent=Intent(alters=False), touched=True)
    with interruptible(), on_board(stay, Phases()):
        return compare_trees(call.project.root, stay.there, call.tools)


def down(call: Call, wanted: FinalState, *, fetch: bool, verbose: bool) -> int:
    """Pull, then terminate or stop; 125 where the results could not be fetched, and the instance is kept."""
    check_here(call)
    found = find(call)
    if found is None:
        output.step(f"no instance `{call.settings.name}` in {call.aws.region}: nothing to end")
        if (begun := journal.read(call.state, call.key)) and not begun.is_old():
            output.warning("a launch of it was begun here and not ended", hint="`ec2tasks down` in a minute")
        return 0
    if wanted is FinalState.STOP and found.state in HALTED:
        output.step(f"{found.where}: stopped already")
        return 0
    arrival = Arrival(instance=found)
    fetch = fetch and not (found.state == "stopped" and found.fetched)
    stay = Stay(
        call=call,
        intent=Intent(end=wanted, explicit=True),
        arrival=arrival,
        touched=True,
        results=Results.MISSING if fetch else Results.GIVEN_UP,
    )
    if not fetch:
        apply(stay, Verdict(ending=wanted))
        return 0
    check_syncable(call.project, call.home)
    phases = Phases()
    with interruptible(), on_board(stay, phases), phases.time("fetched"):
        stay.results = fetch_results(stay, verbose=verbose)
    output.step(phases.line(stay.cost()))
    return 0 if stay.results is not Results.MISSING and stay.ended is wanted else FAILURE_CODE
