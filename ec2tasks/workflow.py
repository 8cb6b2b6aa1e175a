"""The lines that the tasks are: each stage in its order."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import instance as instances
from ec2tasks import job as jobs
from ec2tasks import journal, report
from ec2tasks.arrival import Arrival, Call, check_here, find, get_on
from ec2tasks.attend import attend
from ec2tasks.ending import Ending, Verdict
from ec2tasks.errors import FAILURE_CODE, INTERRUPTED_CODE, Failure, UsageError
from ec2tasks.follow import Detached, feeds, terminal_size
from ec2tasks.instance import Instance
from ec2tasks.job import Job, Run, forwarded, new_run_id, on_terminal
from ec2tasks.merge import Change
from ec2tasks.ports import check_free
from ec2tasks.project import check_syncable
from ec2tasks.rsync import BrokenWayError
from ec2tasks.stay import Phases, Stay, apply, end_beside_failure, interruptible, on_board
from ec2tasks.sync import Moves, move
from ec2tasks.sync import differences as compare_trees

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before files are moved over another connection
SHOWN_AGAIN = 256 * 1024  # bytes of earlier output that `attach` begins with


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
    """Up, push, run, pull, end of life; the command's own exit code, 125 where its results are not here."""
    settings = call.settings
    check_here(call)
    check_free(settings.ports)
    if settings.spot and settings.final_state == "stop":
        raise UsageError("a spot instance can't be stopped", hint="--leave or --terminate; or without --spot")
    if wish.sync:
        check_syncable(call.project, call.home)
    job = _job(call, wish, environ)
    stay = Stay(
        call=call,
        wanted=Ending(settings.final_state),
        results_here=not wish.sync,
        detaches=wish.detach,
    )
    phases = Phases()
    with interruptible(), on_board(stay, phases, job, may_launch=True):
        with phases.time("synced"):
            stay.touched = not stay.arrival.launched
            _push(stay, wish, job.run_id)
        stay.touched = True
        over = False
        try:
            with phases.time("ran"), wish.beside(), _pulled(stay, wish, job.run_id):
                code = _run_there(stay, wish, job)
            over = not stay.detached
        finally:
            if wish.sync and not stay.detached:
                with phases.time("fetched"):
                    stay.fetched = _pull(stay, job.run_id, verbose=wish.verbose)
            # A command whose end was not seen may still run, and bring more.
            stay.results_here = over and (stay.fetched or not wish.sync)
    if stay.detached:
        return code
    assert stay.arrival.instance is not None
    spent = instances.cost_between(stay.arrival.instance, stay.began, datetime.now(timezone.utc))
    report.step(phases.line(spent))
    return _exit_code(stay, code)


def _exit_code(stay: Stay, code: int) -> int:
    """The command's own; where its results are not here, that is a failure."""
    if code or stay.results_here or stay.detached:
        return code
    return INTERRUPTED_CODE if stay.interrupted else FAILURE_CODE


def multiplexer(call: Call, wish: Wish) -> str:
    """What the command runs in there; a detached one in tmux unless a setting says otherwise."""
    return call.settings.multiplex or ("tmux" if wish.detach else "none")


def _run_there(stay: Stay, wish: Wish, job: Job) -> int:
    """Run the command to its end, or until it is left to itself; its exit code, or that of leaving it."""
    call = stay.call
    if wish.detach or job.multi != "none":
        jobs.start(stay.host, job, call.tools)
    if wish.detach:
        jobs.release(stay.host, job.run_id, call.tools)
        stay.detached = True
        return 0
    return _attended(stay, job, start=job.multi == "none")


def _attended(stay: Stay, job: Job, *, start: bool, since: tuple[int, int] = (0, 0)) -> int:
    try:
        return attend(stay, job, start=start, since=since)
    except Detached as left:
        stay.detached = True
        return left.code


def _job(call: Call, wish: Wish, environ: Mapping[str, str]) -> Job:
    settings, multi = call.settings, multiplexer(call, wish)
    terminal = multi == "none" and not wish.detach and on_terminal()
    return dataclasses.replace(
        _visit(call),
        begins=True,
        command=wish.command,
        variables={**forwarded(settings.forward_env, environ), **wish.variables},
        multi=multi,
        final_state=settings.final_state,
        terminal=terminal,
        fed=terminal or (not wish.detach and feeds()),
        log_mb=settings.log_mb,
        size=terminal_size() if terminal else (24, 80),
        term=environ.get("TERM", "xterm-256color"),
    )


def _visit(call: Call) -> Job:
    """A stay on the instance that starts nothing."""
    settings = call.settings
    return Job(
        run_id=new_run_id(),
        command=None,
        remote_dir=settings.remote_dir,
        below=str(call.project.below),
        env=settings.env,
        variables={},
        ports=settings.ports,
        reverse_ports=settings.reverse_ports,
        begins=False,
    )


def _push(stay: Stay, wish: Wish, run_id: str) -> None:
    if wish.sync:
        _move(stay, run_id, Moves(push=True, verbose=wish.verbose))


def _move(stay: Stay, run_id: str, moves: Moves) -> None:
    """Move files, over another connection where one breaks for as long as the instance runs."""
    for pause in (*PAUSES, None):
        try:
            move(stay.call.project.root, stay.there, run_id, stay.call.tools, moves)
            break
        except BrokenWayError:
            # Beside a command, it is tried again by itself.
            if moves.calm or pause is None or not stay.runs():
                raise
            report.step(f"connection lost, trying the {moves.verb} again")
            time.sleep(pause)
            stay.reconnect()
    # Whatever was there when this call joined: now something is.
    stay.empty = False


def _pull(stay: Stay, run_id: str, *, verbose: bool) -> bool:
    """Fetch everything; whether that worked. Why not is said, for the end of life is still to come."""
    try:
        _move(stay, run_id, Moves(pull=True, verbose=verbose))
    except Failure as error:
        report.warning(error.what, hint=error.hint)
        return False
    except KeyboardInterrupt:
        stay.interrupted = True
        report.warning("interrupted while fetching the results")
        return False
    return True


@contextlib.contextmanager
def _pulled(stay: Stay, wish: Wish, run_id: str) -> Iterator[None]:
    """Fetch results every now and then while inside, so that a lost instance costs no more than that."""
    every = stay.call.settings.pull_every
    if not every or not wish.sync or wish.detach:
        yield
        return
    over = threading.Event()

    def pull() -> None:
        while not over.wait(every):
            # What does not come now comes later, or is said at the end.
            with contextlib.suppress(Failure):
                _move(stay, run_id, Moves(pull=True, calm=True))

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    try:
        yield
    finally:
        over.set()
        if not stay.detached:
            puller.join()


def up(call: Call) -> Instance:
    """Find, launch or start the instance and get it ready; it is left running."""
    check_here(call)
    stay = Stay(call=call, wanted=None)
    try:
        with interruptible():
            get_on(call, stay.arrival, may_launch=True)
    except BaseException:
        end_beside_failure(stay)
        raise
    assert stay.arrival.instance is not None
    return stay.arrival.instance


def attach(call: Call) -> int:
    """Back to the command that runs on the instance: its exit code, or that of leaving it again."""
    check_here(call)
    stay = Stay(call=call, wanted=None, touched=True)
    with interruptible(), on_board(stay, Phases(), _visit(call), may_launch=False):
        found = _left_running(stay)
        code = _look_again(stay, found, since=_last_part(found))
    if not stay.detached:
        report.step(f"run {found.run_id} has ended with {code}")
        report.hint("`ec2tasks finish` fetches its results and ends the instance")
    return code


def finish(call: Call, *, fetch: bool, verbose: bool) -> int:
    """Attach, wait for the end, pull, end of life: the one asked for now, else the one asked for then."""
    check_here(call)
    asked = call.settings.sources["final_state"].startswith("option ")
    stay = Stay(
        call=call,
        wanted=Ending(call.settings.final_state) if asked else None,
        touched=True,
        results_here=not fetch,
    )
    job = _visit(call)
    phases = Phases()
    with interruptible(), on_board(stay, phases, job, may_launch=False):
        with phases.time("ran"):
            found = _left_running(stay)
            code = _look_again(stay, found)
        if not stay.detached:
            stay.wanted = stay.wanted or Ending(found.final_state)
            if fetch:
                with phases.time("fetched"):
                    stay.results_here = stay.fetched = _pull(stay, job.run_id, verbose=verbose)
    return _exit_code(stay, code)


def _left_running(stay: Stay) -> Run:
    found = jobs.look(stay.host, stay.call.tools)
    if found is None:
        raise Failure(
            "no command was left running on the instance",
            hint='`ec2tasks run --detach "COMMAND"` leaves one; `ec2tasks down` ends the instance',
        )
    return found


def _last_part(found: Run) -> tuple[int, int]:
    """Where to begin for who wants to be there again, rather than to read all of it."""
    out, err = found.kept
    if max(out, err) > SHOWN_AGAIN:
        report.step("what it printed last; `ec2tasks logs` shows all that is kept")
    return max(0, out - SHOWN_AGAIN), max(0, err - SHOWN_AGAIN)


def _look_again(stay: Stay, found: Run, *, since: tuple[int, int] = (0, 0)) -> int:
    if found.lost:
        return jobs.result(found)
    job = dataclasses.replace(
        _visit(stay.call),
        run_id=found.run_id,
        command=found.command,
        multi=found.multi,
        terminal=found.terminal,
        fed=found.fed,
    )
    return _attended(stay, job, start=False, since=since)


def sync(call: Call, *, push: bool, pull: bool, verbose: bool) -> None:
    """Push, then pull. An instance that was stopped is stopped again afterwards."""
    check_here(call)
    check_syncable(call.project, call.home)
    job = _visit(call)
    stay = Stay(call=call, wanted=None, touched=True)
    phases = Phases()
    with interruptible(), on_board(stay, phases, job, may_launch=False), phases.time("synced"):
        _move(stay, job.run_id, Moves(push=push, pull=pull, verbose=verbose))
        stay.results_here = stay.fetched = pull
    report.step(phases.line(None))


def differences(call: Call) -> list[Change]:
    """What a sync would move, and why; nothing moves. An instance that was stopped is stopped again."""
    check_here(call)
    check_syncable(call.project, call.home)
    job = _visit(call)
    stay = Stay(call=call, wanted=None, touched=True)
    with interruptible(), on_board(stay, Phases(), job, may_launch=False):
        return compare_trees(call.project.root, stay.there, call.tools)


def down(call: Call, wanted: Ending, *, fetch: bool, verbose: bool) -> int:
    """Pull, then terminate or stop; 125 where the results could not be fetched, and the instance is kept."""
    check_here(call)
    found = find(call)
    if found is None:
        report.step(f"no instance `{call.settings.name}` in {call.aws.region}: nothing to end")
        if (begun := journal.read(call.state, call.key)) and not begun.is_old():
            report.warning("a launch of it was begun here and not ended", hint="`ec2tasks down` in a minute")
        return 0
    if wanted is Ending.STOP and found.state in ("stopping", "stopped"):
        report.step(f"{found.where}: stopped already")
        return 0
    arrival = Arrival(instance=found)
    fetch = fetch and not (found.state == "stopped" and found.fetched)
    stay = Stay(
        call=call, wanted=wanted, explicit=True, arrival=arrival, touched=True, results_here=not fetch
    )
    if not fetch:
        apply(stay, Verdict(ending=wanted))
        return 0
    check_syncable(call.project, call.home)
    job = _visit(call)
    with interruptible(), on_board(stay, Phases(), job, may_launch=False):
        stay.results_here = stay.fetched = _pull(stay, job.run_id, verbose=verbose)
    return 0 if stay.results_here and not stay.shared else FAILURE_CODE
