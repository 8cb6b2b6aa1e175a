"""Back to a command that was left running on the instance: to look at it, or to wait for its end."""

from __future__ import annotations

import contextlib

from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE, Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.history import pick
from ec2tasks.commands.supervise import attended
from ec2tasks.commands.transfer import fetch as fetch_results
from ec2tasks.commands.transfer import fetched_meanwhile
from ec2tasks.lifecycle.acquire import check_here
from ec2tasks.lifecycle.context import Call
from ec2tasks.lifecycle.operation import Intent, Results, Stay
from ec2tasks.lifecycle.scope import interruptible, on_board
from ec2tasks.lifecycle.timing import Phases
from ec2tasks.remote import job as jobs
from ec2tasks.remote.job import Job, JobStatus, LostJobError

SHOWN_AGAIN = 256 * 1024  # bytes of earlier output that `attach` begins with


def attach(call: Call, wanted: str = "") -> int:
    """Back to a command that runs on the instance: its exit code, or that of leaving it again.

    `wanted` is the beginning of its run's id; empty for the one that was left last.
    """
    check_here(call)
    stay = Stay(call=call, intent=Intent(looks=True, alters=False), touched=True)
    with interruptible(), on_board(stay, Phases()):
        found = _left_running(stay, wanted)
        code = _look_again(stay, found, since=_last_part(found))
    if not stay.detached:
        output.step(f"run {found.job_id} has ended with {code}")
        output.hint("`ec2tasks finish` fetches its results and ends the instance")
    return code


def finish(call: Call, wanted: str = "", *, fetch: bool, verbose: bool) -> int:
    """Attach, wait for the end, pull, end of life: the one asked for now, else the one asked for then.

    What a restart of the instance ended has results, too: they are fetched, and the code is 125.
    """
    check_here(call)
    asked = call.settings.by_option("final_state")
    stay = Stay(
        call=call,
        intent=Intent(end=FinalState(call.settings.final_state) if asked else None),
        touched=True,
        results=Results.MISSING if fetch else Results.GIVEN_UP,
    )
    phases = Phases()
    with interruptible(), on_board(stay, phases):
        with phases.time("ran"):
            found = _left_running(stay, wanted)
            meanwhile = fetched_meanwhile(stay) if fetch else contextlib.nullcontext()
            with meanwhile:
                code = _its_end(stay, found)
        if not stay.detached:
            if not asked:
                stay.intent = Intent(end=FinalState(found.final_state))
            if fetch:
                with phases.time("fetched"):
                    stay.results = fetch_results(stay, verbose=verbose)
    if not stay.detached:
        output.step(phases.line(stay.cost()))
    return stay.exit_code(code, fetch=fetch)


def _its_end(stay: Stay, found: JobStatus) -> int:
    """The exit code of a run once it has ended; 125 where a restart ended it, which is said."""
    try:
        return _look_again(stay, found)
    except LostJobError as lost:
        output.warning(lost.what, hint=lost.hint)
        return FAILURE_CODE


def _left_running(stay: Stay, wanted: str) -> JobStatus:
    host, tools = stay.host, stay.call.tools
    found = pick(jobs.list_jobs(host, tools), wanted) if wanted else jobs.look(host, tools)
    if found is None:
        raise Failure(
            "no command was left running on the instance",
            hint='`ec2tasks run --detach "COMMAND"` leaves one; `ec2tasks down` ends the instance',
        )
    return found


def _last_part(found: JobStatus) -> tuple[int, int]:
    """Where to begin for who wants to be there again, rather than to read all of it."""
    out, err = found.kept
    if max(out, err) > SHOWN_AGAIN:
        output.step("what it printed last; `ec2tasks logs` shows all that is kept")
    return max(0, out - SHOWN_AGAIN), max(0, err - SHOWN_AGAIN)


def _look_again(stay: Stay, found: JobStatus, *, since: tuple[int, int] = (0, 0)) -> int:
    if found.lost:
        return jobs.result(found)
    call = stay.call
    job = Job(
        job_id=found.job_id,
        command=found.command,
        remote_dir=call.settings.remote_dir,
        below=str(call.project.below),
        env=call.settings.env,
        variables={},
        ports=call.settings.ports,
        reverse_ports=call.settings.reverse_ports,
        multi=found.multi,
        terminal=found.terminal,
        fed=found.fed,
    )
    return attended(stay, job, start=False, since=since)
