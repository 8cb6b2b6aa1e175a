"""The lines that the tasks are: each stage in its order."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import held, journal, report
from ec2tasks import instance as instances
from ec2tasks.access import Host
from ec2tasks.arrival import Arrival, Call, check_here, find, get_on
from ec2tasks.ending import Ending, Verdict
from ec2tasks.errors import FAILURE_CODE, Failure, UsageError
from ec2tasks.instance import Instance
from ec2tasks.job import Job, forwarded, new_run_id, on_terminal
from ec2tasks.job import run as run_job
from ec2tasks.merge import Change
from ec2tasks.ports import check_free
from ec2tasks.project import check_syncable
from ec2tasks.stay import Phases, Stay, apply, end_beside_failure, interruptible, on_board
from ec2tasks.sync import Moves, move
from ec2tasks.sync import differences as compare_trees


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
    with interruptible(), on_board(stay, phases, job, may_launch=True) as host:
        with phases.time("synced"):
            stay.touched = not stay.arrival.launched
            _push(stay, wish, job.run_id)
        stay.touched = True
        over = False
        try:
            with phases.time("ran"), wish.beside():
                code = _run_there(stay, wish, job, host)
            over = True
        finally:
            if wish.sync and not stay.detached:
                with phases.time("fetched"):
                    stay.fetched = _pull(stay, job.run_id, verbose=wish.verbose)
            # A command whose end was not seen may still run, and bring more.
            stay.results_here = over and (stay.fetched or not wish.sync)
    if stay.detached:
        return 0
    assert stay.arrival.instance is not None
    spent = instances.cost_between(stay.arrival.instance, stay.began, datetime.now(timezone.utc))
    report.step(phases.line(spent))
    return code if code or stay.results_here else FAILURE_CODE


def multiplexer(call: Call, wish: Wish) -> str:
    """What the command runs in there; a detached one in tmux unless a setting says otherwise."""
    return call.settings.multiplex or ("tmux" if wish.detach else "none")


def _run_there(stay: Stay, wish: Wish, job: Job, host: Host) -> int:
    """Run the command to its end, or until the user leaves it to itself."""
    call, multi = stay.call, multiplexer(stay.call, wish)
    if multi == "none" and not wish.detach:
        return run_job(host, job, call.tools, pty=on_terminal())
    held.start(host, job, multi, call.settings.final_state, call.tools)
    if wish.detach:
        held.release(host, job.run_id, call.tools)
        stay.detached = True
        return 0
    return _look(stay, host, job, multi)


def _look(stay: Stay, host: Host, job: Job, multi: str) -> int:
    """Be with a held command until it ends, or the user detaches; its exit code then, 0 for detached."""
    pty = on_terminal() and multi != "none"
    try:
        held.look(host, job, stay.call.tools, pty=pty)
        found = held.state(host, stay.call.tools, job.run_id)
    except BaseException:
        stay.detached = True
        raise
    assert found is not None
    stay.detached = found.code is None and not found.lost
    return 0 if stay.detached else held.result(found)


def _job(call: Call, wish: Wish, environ: Mapping[str, str]) -> Job:
    settings = call.settings
    return Job(
        run_id=new_run_id(),
        command=wish.command,
        remote_dir=settings.remote_dir,
        below=str(call.project.below),
        env=settings.env,
        variables={**forwarded(settings.forward_env, environ), **wish.variables},
        ports=settings.ports,
        reverse_ports=settings.reverse_ports,
    )


def _push(stay: Stay, wish: Wish, run_id: str) -> None:
    if wish.sync:
        _move(stay, run_id, Moves(push=True, verbose=wish.verbose))


def _move(stay: Stay, run_id: str, moves: Moves) -> None:
    assert stay.there is not None
    move(stay.call.project.root, stay.there, run_id, stay.call.tools, moves)
    # Whatever was there when this call joined: now something is.
    stay.there = dataclasses.replace(stay.there, empty=False)


def _pull(stay: Stay, run_id: str, *, verbose: bool) -> bool:
    """Fetch everything; whether that worked. Why not is said, for the end of life is still to come."""
    try:
        _move(stay, run_id, Moves(pull=True, verbose=verbose))
    except Failure as error:
        report.warning(error.what, hint=error.hint)
        return False
    except KeyboardInterrupt:
        report.warning("interrupted while fetching the results")
        return False
    return True


def up(call: Call) -> Instance:
    """Find, launch or start the instance and get it ready; it is left running."""
    check_here(call)
    stay = Stay(call=call, wanted=None)
    try:
        with interruptible():
            get_on(call, stay.arrival, may_launch=True)
    except BaseException:
        end_beside_failure(stay, None)
        raise
    assert stay.arrival.instance is not None
    return stay.arrival.instance


def attach(call: Call) -> int:
    """Back to the command that runs on the instance; its exit code if it ends meanwhile, 0 if it goes on."""
    check_here(call)
    stay = Stay(call=call, wanted=None, touched=True)
    with (
        interruptible(),
        on_board(stay, Phases(), _job(call, Wish(command=None), {}), may_launch=False) as host,
    ):
        found = _held(stay, host)
        code = _look_again(stay, host, found)
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
    job = _job(call, Wish(command=None), {})
    phases = Phases()
    with interruptible(), on_board(stay, phases, job, may_launch=False) as host:
        with phases.time("ran"):
            found = _held(stay, host)
            code = _look_again(stay, host, found)
        if not stay.detached:
            stay.wanted = stay.wanted or Ending(found.end)
            if fetch:
                with phases.time("fetched"):
                    stay.results_here = stay.fetched = _pull(stay, job.run_id, verbose=verbose)
    return code if code or stay.results_here or stay.detached else FAILURE_CODE


def _held(stay: Stay, host: Host) -> held.Held:
    found = held.state(host, stay.call.tools)
    if found is None:
        raise Failure(
            "no command was left running on the instance",
            hint='`ec2tasks run --detach "COMMAND"` leaves one; `ec2tasks down` ends the instance',
        )
    return found


def _look_again(stay: Stay, host: Host, found: held.Held) -> int:
    if found.lost:
        return held.result(found)
    job = dataclasses.replace(_job(stay.call, Wish(command=None), {}), run_id=found.run_id)
    return _look(stay, host, job, found.multi)


def sync(call: Call, *, push: bool, pull: bool, verbose: bool) -> None:
    """Push, then pull. An instance that was stopped is stopped again afterwards."""
    check_here(call)
    check_syncable(call.project, call.home)
    job = _job(call, Wish(command=None), {})
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
    job = _job(call, Wish(command=None), {})
    stay = Stay(call=call, wanted=None, touched=True)
    with interruptible(), on_board(stay, Phases(), job, may_launch=False):
        assert stay.there is not None
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
    job = _job(call, Wish(command=None), {})
    with interruptible(), on_board(stay, Phases(), job, may_launch=False):
        stay.results_here = stay.fetched = _pull(stay, job.run_id, verbose=verbose)
    return 0 if stay.results_here and not stay.shared else FAILURE_CODE
