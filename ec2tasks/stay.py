"""A call's stay on the instance: arrival, session, and the end of life whatever happens between."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import held, report
from ec2tasks import instance as instances
from ec2tasks.access import Host, close_master, forget
from ec2tasks.arrival import Arrival, Call, arrive
from ec2tasks.aws import explain
from ec2tasks.ending import Ending, Facts, Verdict, decide
from ec2tasks.errors import Failure
from ec2tasks.job import Job, job_files
from ec2tasks.process import handled, uninterrupted
from ec2tasks.session import Leaving, Limits, Session, join
from ec2tasks.state import lock

ARRIVAL_PATIENCE = 30.0  # seconds that a leaving client waits for those who are just arriving
KEEP = "keep"  # a session that asks for no end of life


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

    `wanted` None asks for no end of life of its own; `explicit` asks for nothing else. `results_here`: all
    that is there is here, fetched or given up; `fetched`: it has been fetched. `shared`: other clients are on
    it. `detaches`: it leaves a command running, whose end of life is not for the other sessions to apply;
    `detached`: it has.
    """

    call: Call
    wanted: Ending | None
    explicit: bool = False
    arrival: Arrival = field(default_factory=Arrival)
    joined: bool = False
    touched: bool = False
    results_here: bool = False
    fetched: bool = False
    shared: bool = False
    detaches: bool = False
    detached: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def facts(self, leaving: Leaving | None) -> Facts:
        """What the decision on the instance's end needs."""
        assert self.arrival.instance is not None
        # A later session's end of life replaces an earlier one's: the instance knows which came last.
        asked = leaving.final_state if leaving else None
        own = self.wanted or (Ending.STOP if self.arrival.started else Ending.LEAVE)
        wanted = Ending(asked) if asked else own
        return Facts(
            wanted=Ending.LEAVE if self.detached else wanted,
            explicit=self.explicit,
            launched=self.arrival.launched,
            started=self.arrival.started,
            joined=self.joined,
            touched=self.touched,
            results_here=self.results_here,
            others=self.shared if leaving or self.shared else None,
            can_stop=not self.arrival.instance.spot,
        )


@contextlib.contextmanager
def on_board(stay: Stay, phases: Phases, job: Job, *, may_launch: bool) -> Iterator[Host]:
    """Arrive and hold a session; whatever happens inside or on the way, the end of life follows."""
    session: Session | None = None
    with contextlib.ExitStack() as held:
        try:
            with phases.time("found"):
                host, session = _get_on(stay, job, held, may_launch=may_launch)
            yield host
        except BaseException:
            # The first failure is the one to tell; one more on the way out is said beside it.
            end_beside_failure(stay, session)
            raise
        end(stay, session)


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
                held.enter_context(lock(call.state, f"present-{call.key}", shared=True))
                return host, session
    raise AssertionError("unreachable")


def _joined(stay: Stay, job: Job, host: Host) -> contextlib.AbstractContextManager[Session]:
    return join(
        host,
        stay.call.tools,
        run_id=job.run_id,
        remote_dir=job.remote_dir,
        final_state=stay.wanted.value if stay.wanted and not stay.detaches else KEEP,
        files={**job_files(job), **held.held_files()},
        limits=_limits(stay),
    )


def _limits(stay: Stay) -> Limits:
    """The guard's limits that somebody asked for; a default leaves standing what an earlier call set."""
    settings, found = stay.call.settings, stay.arrival.instance
    assert found is not None
    return Limits(
        idle_stop=None if settings.sources["idle_stop"] == "default" else settings.idle_stop,
        max_seconds=None if settings.sources["max_hours"] == "default" else settings.max_hours,
        start=found.launched.isoformat(),
        new=stay.arrival.launched,
    )


def end_beside_failure(stay: Stay, session: Session | None) -> None:
    """Apply the end of life on the way out of a failure, which stays the one to tell."""
    try:
        end(stay, session)
    except Failure as error:
        report.warning(error.what, hint=error.hint)


def end(stay: Stay, session: Session | None) -> None:
    """Leave the instance and apply its end of life."""
    if stay.arrival.instance is None:
        return
    call = stay.call
    with uninterrupted(), lock(call.state, f"arriving-{call.key}", patience=ARRIVAL_PATIENCE):
        leaving = session.leave(fetched=stay.fetched and stay.results_here) if session else None
        # Without a session of our own we can't ask the instance, but know of this machine's other clients.
        with lock(call.state, f"present-{call.key}", patience=0) as alone:
            stay.shared = not leaving.last if leaving else not alone and not stay.joined
        apply(stay, decide(stay.facts(leaving)))


def apply(stay: Stay, verdict: Verdict) -> None:
    """Do what was decided; say it, why, and what to type next. Raises Failure where AWS won't."""
    call, found = stay.call, stay.arrival.instance
    assert found is not None
    try:
        instances.end(call.aws, found, verdict.ending.value, fetched=stay.fetched)
    except Exception as error:
        known = explain(error)
        raise Failure(
            f"{found.where} could not be ended and may still cost money: {known.what if known else error}",
            hint=(known and known.hint) or "`ec2tasks down` ends it",
        ) from error
    if verdict.because:
        report.warning(
            f"{found.where}: {PAST[verdict.ending]}, because {verdict.because}",
            hint=BUSY if stay.explicit and stay.shared else _next(verdict.ending, stay.results_here),
        )
    else:
        report.step(f"{found.where}: {PAST[verdict.ending]}")
        hint = DETACHED if stay.detached else _next(verdict.ending, results_here=True)
        if hint:
            report.hint(hint)
    if stay.arrival.host and verdict.ending is Ending.TERMINATE:
        forget(stay.arrival.host, call.tools)
    elif stay.arrival.host and verdict.ending is Ending.STOP:
        close_master(stay.arrival.host, call.tools)


DETACHED = (
    "the command goes on there: `ec2tasks attach` comes back to it, `ec2tasks finish` waits for its end,"
    " fetches its results and ends the instance"
)
BUSY = "`ec2tasks finish` waits for a detached command's end; `ec2tasks down --no-rsync` ends it now"
PAST = {Ending.LEAVE: "left running", Ending.STOP: "stopped", Ending.TERMINATE: "terminated"}


def _next(ending: Ending, results_here: bool) -> str | None:
    if not results_here:
        return "`ec2tasks down` fetches what is there and ends it; `ec2tasks down --no-rsync` gives it up"
    return {
        Ending.LEAVE: "`ec2tasks down` ends it",
        Ending.STOP: "the next run starts it again; `ec2tasks down` ends it",
        Ending.TERMINATE: None,
    }[ending]
