"""The lines that the tasks are: each stage in its order, and the end of life whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import instance as instances
from ec2tasks import report
from ec2tasks.access import Host, forget
from ec2tasks.arrival import Arrival, Call, arrive, check_here, find
from ec2tasks.ending import Ending, Facts, Verdict, decide
from ec2tasks.errors import FAILURE_CODE, Failure
from ec2tasks.instance import Instance
from ec2tasks.job import Job, forwarded, job_files, new_run_id, on_terminal
from ec2tasks.job import run as run_job
from ec2tasks.ports import check_free
from ec2tasks.process import handled, uninterrupted
from ec2tasks.project import check_syncable
from ec2tasks.session import Leaving, Session, join
from ec2tasks.state import lock
from ec2tasks.sync import Direction, Tree, move, say_default_ignored

ARRIVAL_PATIENCE = 30.0  # seconds that a leaving client waits for those who are just arriving
KEEP = "keep"  # a session that asks for no end of life


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What this call is asked to do, beside its settings; `command` None is a login shell."""

    command: str | None
    sync: bool = True
    verbose: bool = False


@dataclass(kw_only=True)
class Phases:
    """How long each phase of a run took, for the line at its end."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Count the time spent inside under this name."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def line(self, cost: float | None) -> str:
        """The phases in words, and what they cost."""
        words = [f"{name} {duration(seconds)}" for name, seconds in self.seconds.items()]
        return " · ".join([*words, *([f"cost ≈ ${cost:.2f}"] if cost is not None else [])])


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def interruptible() -> contextlib.AbstractContextManager[None]:
    """Treat a closed terminal and a polite kill like Ctrl-C: results come back, the instance ends."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    return handled((signal.SIGTERM, signal.SIGHUP), interrupt)


@dataclass(kw_only=True)
class Stay:
    """A call's stay on the instance, as far as its end needs to know it.

    `wanted` None asks for no end of life of its own; `explicit` asks for nothing else.
    """

    call: Call
    wanted: Ending | None
    explicit: bool = False
    arrival: Arrival = field(default_factory=Arrival)
    joined: bool = False
    touched: bool = False
    results_here: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def facts(self, leaving: Leaving | None) -> Facts:
        """What the decision on the instance's end needs."""
        assert self.arrival.instance is not None
        # A later session's end of life replaces an earlier one's: the instance knows which came last.
        asked = leaving.final_state if leaving else None
        own = self.wanted or (Ending.STOP if self.arrival.started else Ending.LEAVE)
        return Facts(
            wanted=Ending(asked) if asked else own,
            explicit=self.explicit,
            launched=self.arrival.launched,
            started=self.arrival.started,
            joined=self.joined,
            touched=self.touched,
            results_here=self.results_here,
            others=None if leaving is None else not leaving.last,
            can_stop=not self.arrival.instance.spot,
        )


def run(call: Call, wish: Wish, *, environ: Mapping[str, str] = os.environ) -> int:
    """Up, push, run, pull, end of life; the command's own exit code, 125 where its results are not here."""
    settings = call.settings
    check_here(call)
    check_free(settings.ports)
    if wish.sync:
        check_syncable(call.project, call.home)
    job = _job(call, wish, environ)
    stay = Stay(call=call, wanted=Ending(settings.final_state), results_here=not wish.sync)
    phases = Phases()
    with interruptible(), _on_board(stay, phases, job, may_launch=True) as host:
        with phases.time("synced"):
            stay.touched = not stay.arrival.launched
            _push(call, wish, host, job.run_id)
        stay.touched = True
        try:
            with phases.time("ran"):
                code = run_job(host, job, call.tools, pty=on_terminal())
        finally:
            if wish.sync:
                with phases.time("fetched"):
                    stay.results_here = _pull(call, host, job.run_id, verbose=wish.verbose)
    assert stay.arrival.instance is not None
    spent = instances.cost_between(stay.arrival.instance, stay.began, datetime.now(timezone.utc))
    report.step(phases.line(spent))
    return code if code or stay.results_here else FAILURE_CODE


def _job(call: Call, wish: Wish, environ: Mapping[str, str]) -> Job:
    settings = call.settings
    return Job(
        run_id=new_run_id(),
        command=wish.command,
        remote_dir=settings.remote_dir,
        below=str(call.project.below),
        env=settings.env,
        variables=forwarded(settings.forward_env, environ),
        ports=settings.ports,
        reverse_ports=settings.reverse_ports,
    )


@contextlib.contextmanager
def _on_board(stay: Stay, phases: Phases, job: Job, *, may_launch: bool) -> Iterator[Host]:
    """Arrive and hold a session; whatever happens inside or on the way, the end of life follows."""
    session: Session | None = None
    with contextlib.ExitStack() as held:
        try:
            with phases.time("found"):
                host, session = _get_on(stay, job, held, may_launch=may_launch)
            yield host
        except BaseException:
            # The first failure is the one to tell; one more on the way out is said beside it.
            _end_beside_failure(stay, session)
            raise
        _end(stay, session)


def _get_on(stay: Stay, job: Job, held: contextlib.ExitStack, *, may_launch: bool) -> tuple[Host, Session]:
    """Arrive and join. An instance that another client ends in this very moment is left for the next."""
    call = stay.call
    for attempts_left in (2, 1, 0):
        # Whoever leaves from this machine meanwhile waits for us, rather than end what we are about to use.
        with lock(call.state, f"arriving-{call.key}", shared=True):
            host = arrive(call, stay.arrival, may_launch=may_launch)
            try:
                session = held.enter_context(_joined(stay, job, host))
            except Failure:
                now = instances.watch(call.aws, host.instance_id)
                if attempts_left == 0 or (now and now.state == "running"):
                    raise
            else:
                stay.joined = True
                return host, session
    raise AssertionError("unreachable")


def _joined(stay: Stay, job: Job, host: Host) -> contextlib.AbstractContextManager[Session]:
    return join(
        host,
        stay.call.tools,
        run_id=job.run_id,
        remote_dir=job.remote_dir,
        final_state=stay.wanted.value if stay.wanted else KEEP,
        files=job_files(job),
    )


def _end_beside_failure(stay: Stay, session: Session | None) -> None:
    try:
        _end(stay, session)
    except Failure as error:
        report.warning(error.what, hint=error.hint)


def _push(call: Call, wish: Wish, host: Host, run_id: str) -> None:
    if wish.sync:
        say_default_ignored(call.project.root)
        move(host, _tree(call, run_id), Direction.PUSH, call.tools, verbose=wish.verbose)


def _tree(call: Call, run_id: str) -> Tree:
    return Tree(here=call.project.root, there=call.settings.remote_dir, run_id=run_id)


def _pull(call: Call, host: Host, run_id: str, *, verbose: bool) -> bool:
    """Fetch everything; whether that worked. Why not is said, for the end of life is still to come."""
    try:
        move(host, _tree(call, run_id), Direction.PULL, call.tools, verbose=verbose)
    except Failure as error:
        report.warning(error.what)
        return False
    except KeyboardInterrupt:
        report.warning("interrupted while fetching the results")
        return False
    return True


def _end(stay: Stay, session: Session | None) -> None:
    """Leave the instance and apply its end of life."""
    if stay.arrival.instance is None:
        return
    call = stay.call
    with uninterrupted(), lock(call.state, f"arriving-{call.key}", patience=ARRIVAL_PATIENCE):
        _apply(stay, decide(stay.facts(session.leave() if session else None)))


def _apply(stay: Stay, verdict: Verdict) -> None:
    call, found = stay.call, stay.arrival.instance
    assert found is not None
    try:
        instances.end(call.aws, found, verdict.ending.value, fetched=stay.results_here)
    except Exception as error:
        raise Failure(
            f"{found.where} could not be ended and may still cost money: {error}",
            hint="`ec2tasks down` ends it",
        ) from error
    if verdict.because:
        report.warning(
            f"{found.where}: {PAST[verdict.ending]}, because {verdict.because}",
            hint=_next(verdict.ending, results_here=stay.results_here),
        )
    else:
        report.step(f"{found.where}: {PAST[verdict.ending]}")
        hint = _next(verdict.ending, results_here=True)
        if hint:
            report.hint(hint)
    if verdict.ending is Ending.TERMINATE and stay.arrival.host:
        forget(stay.arrival.host, call.tools)


PAST = {Ending.LEAVE: "left running", Ending.STOP: "stopped", Ending.TERMINATE: "terminated"}


def _next(ending: Ending, *, results_here: bool) -> str | None:
    if not results_here:
        return "`ec2tasks down` fetches what is there and ends it; `ec2tasks down --no-rsync` gives it up"
    return {
        Ending.LEAVE: "`ec2tasks down` ends it",
        Ending.STOP: "the next run starts it again; `ec2tasks down` ends it",
        Ending.TERMINATE: None,
    }[ending]


def up(call: Call) -> Instance:
    """Find, launch or start the instance and get it ready; it is left running."""
    check_here(call)
    stay = Stay(call=call, wanted=None)
    try:
        with interruptible():
            arrive(call, stay.arrival, may_launch=True)
    except BaseException:
        _end_beside_failure(stay, None)
        raise
    assert stay.arrival.instance is not None
    return stay.arrival.instance


def sync(call: Call, *, push: bool, pull: bool, verbose: bool) -> None:
    """Push, then pull. An instance that was stopped is stopped again afterwards."""
    check_here(call)
    check_syncable(call.project, call.home)
    wish = Wish(command=None, verbose=verbose)
    job = _job(call, wish, {})
    stay = Stay(call=call, wanted=None, touched=True)
    phases = Phases()
    with interruptible(), _on_board(stay, phases, job, may_launch=False) as host:
        if push:
            with phases.time("pushed"):
                _push(call, wish, host, job.run_id)
        if pull:
            with phases.time("fetched"):
                move(host, _tree(call, job.run_id), Direction.PULL, call.tools, verbose=verbose)
                stay.results_here = True
    report.step(phases.line(None))


def down(call: Call, wanted: Ending, *, fetch: bool, verbose: bool) -> int:
    """Pull, then terminate or stop; 125 where the results could not be fetched, and the instance is kept."""
    check_here(call)
    found = find(call)
    if found is None:
        report.step(f"no instance `{call.settings.name}` in {call.aws.region}: nothing to end")
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
        _apply(stay, Verdict(ending=wanted))
        return 0
    check_syncable(call.project, call.home)
    job = _job(call, Wish(command=None), {})
    with interruptible(), _on_board(stay, Phases(), job, may_launch=False) as host:
        stay.results_here = _pull(call, host, job.run_id, verbose=verbose)
    return 0 if stay.results_here else FAILURE_CODE
