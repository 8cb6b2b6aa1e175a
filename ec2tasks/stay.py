"""A call's stay on the instance: arrival, session, and the end of life whatever happens between."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import instance as instances
from ec2tasks import journal, report
from ec2tasks.access import Host, close_master, forget, open_master
from ec2tasks.arrival import Arrival, Call, arrive, host_of
from ec2tasks.aws import explain
from ec2tasks.ending import Ending, Facts, Verdict, decide
from ec2tasks.errors import Failure
from ec2tasks.instance import Instance
from ec2tasks.job import Job, job_files
from ec2tasks.process import handled, uninterrupted
from ec2tasks.rsync import There, there_on
from ec2tasks.session import Leaving, Limits, Session, join
from ec2tasks.state import lock
from ec2tasks.traces import was_used

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
    `detached`: it has. `interrupted`: Ctrl-C ended the fetch. `session` is the one it holds, under `run_id`,
    until `boarded` is closed; `gone`: AWS has ended the instance. `looks`: it only looks, and asks for no
    end. `clean`: all on it before had been fetched. `home` is the login user's there, `empty`: nothing of the
    project is there yet.
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
    interrupted: bool = False
    session: Session | None = None
    boarded: contextlib.ExitStack | None = None
    run_id: str = ""
    gone: bool = False
    looks: bool = False
    clean: bool = False
    home: str = ""
    empty: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def host(self) -> Host:
        """How the instance that was arrived at is reached now."""
        assert self.arrival.host is not None
        return self.arrival.host

    @property
    def there(self) -> There:
        """The project's folder on the instance, as it is reached now."""
        return there_on(self.host, folder=self.call.settings.remote_dir, home=self.home, empty=self.empty)

    @property
    def notice(self) -> str:
        """When AWS takes this spot instance back, as the instance has been told; empty for never."""
        return self.session.notice if self.session else ""

    def facts(self, leaving: Leaving | None) -> Facts:
        """What the decision on the instance's end needs."""
        assert self.arrival.instance is not None
        # A later session's end of life replaces an earlier one's: the instance knows which came last.
        asked = leaving.final_state if leaving else None
        own = self.wanted or (Ending.STOP if self.arrival.started else Ending.LEAVE)
        wanted = Ending(asked) if asked else own
        return Facts(
            wanted=Ending.LEAVE if self.detached or self.looks else wanted,
            explicit=self.explicit,
            launched=self.arrival.launched,
            started=self.arrival.started,
            joined=self.joined,
            touched=self.touched,
            results_here=self.results_here and not (leaving and leaving.unfetched),
            others=self.shared if leaving or self.shared else None,
            can_stop=not self.arrival.instance.spot,
        )

    def rejoin(self, host: Host) -> None:
        """Hold a session again where the one that was held broke. Raises Failure where it is not let in."""
        if self.session and self.boarded and not self.session.alive:
            self.session = self.boarded.enter_context(_joined(self, host, {}))

    def leave(self) -> Leaving | None:
        """Leave the session, come back to for that where it broke. None where the instance can't be asked."""
        whole = self.fetched and self.results_here
        said = self.session.leave(fetched=whole) if self.session else None
        if said or self.session is None or self.detached or self.arrival.host is None:
            return said
        return self.session.leave(fetched=whole) if self.reconnect() else None

    def reconnect(self) -> bool:
        """Open another connection in place of one that broke, and hold a session; whether that worked."""
        close_master(self.host, self.call.tools)
        if open_master(self.host, self.call.tools) is not None:
            return False
        with contextlib.suppress(Failure):
            self.rejoin(self.host)
            return True
        return False

    def runs(self) -> bool:
        """Whether the instance still runs, as far as AWS can be asked."""
        now = self.ask_state()
        return now is not None and now.state not in ("stopping", "stopped")

    def ask_state(self) -> Instance | None:
        """The instance as AWS knows it now; as it was where AWS can't be asked, None where it is gone."""
        found = self.arrival.instance
        assert found is not None
        try:
            now = instances.watch(self.call.aws, found.id)
        except Exception as error:
            if explain(error) is None:
                raise
            return found
        return now if now and now.state not in instances.GONE else None


@contextlib.contextmanager
def on_board(stay: Stay, phases: Phases, job: Job, *, may_launch: bool) -> Iterator[Host]:
    """Arrive and hold a session; whatever happens inside or on the way, the end of life follows."""
    stay.run_id = job.run_id
    with contextlib.ExitStack() as stay.boarded:
        try:
            with phases.time("found"):
                host = _get_on(stay, job, stay.boarded, may_launch=may_launch)
            yield host
        except BaseException:
            # The first failure is the one to tell; one more on the way out is said beside it.
            end_beside_failure(stay)
            raise
        end(stay)


def _get_on(stay: Stay, job: Job, boarded: contextlib.ExitStack, *, may_launch: bool) -> Host:
    """Arrive and join. An instance that another client ends in this very moment is left for the next."""
    call = stay.call
    for attempts_left in (2, 1, 0):
        # Whoever leaves from this machine meanwhile waits for us, rather than end what we are about to use.
        with lock(call.state, f"arriving-{call.key}", shared=True):
            host = arrive(call, stay.arrival, may_launch=may_launch)
            try:
                stay.session = boarded.enter_context(
                    _joined(stay, host, job_files(job) if job.begins else {})
                )
            except Failure:
                if attempts_left == 0:
                    raise
                # A kept connection that a change of network killed still looks alive: a new one tells.
                close_master(host, call.tools)
            else:
                stay.joined = True
                stay.home, stay.empty = stay.session.home, stay.session.empty
                stay.clean = stay.session.clean or stay.session.empty or stay.arrival.launched
                journal.finish(call.state, call.key)
                boarded.enter_context(lock(call.state, f"present-{call.key}", shared=True))
                return host
    raise AssertionError("unreachable")


def _joined(stay: Stay, host: Host, files: Mapping[str, str]) -> contextlib.AbstractContextManager[Session]:
    return join(
        host,
        stay.call.tools,
        run_id=stay.run_id,
        remote_dir=stay.call.settings.remote_dir,
        final_state=stay.wanted.value if stay.wanted and not stay.detaches else KEEP,
        files=files,
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
        spot=found.spot,
    )


def end_beside_failure(stay: Stay) -> None:
    """Apply the end of life on the way out of a failure, which stays the one to tell."""
    try:
        end(stay)
    except Failure as error:
        report.warning(error.what, hint=error.hint)


def end(stay: Stay) -> None:
    """Leave the instance and apply its end of life."""
    call, arrival = stay.call, stay.arrival
    if arrival.instance is None:
        return
    if arrival.instance.state == "stopped" and not (arrival.started or stay.joined or stay.explicit):
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
        with lock(call.state, f"present-{call.key}", patience=0) as alone:
            stay.shared = not leaving.last if leaving else not alone and not stay.joined
        if arrival.launched and not stay.joined and not stay.shared:
            stay.shared = _somebody_there(stay)
        stay.fetched &= bool(leaving and leaving.last and not leaving.unfetched)
        apply(stay, decide(stay.facts(leaving)))


def _forget(stay: Stay) -> None:
    """Forget an instance that is gone: there is nothing left to end."""
    journal.finish(stay.call.state, stay.call.key)
    if stay.arrival.host:
        forget(stay.arrival.host, stay.call.tools)


def _say_gone(stay: Stay, found: Instance) -> None:
    """Say that somebody else, or AWS, has terminated the instance."""
    lost = "" if stay.results_here or not stay.touched else ", and with it what was not fetched"
    report.warning(
        f"{found.where}: terminated, but not by this run{lost}", hint="the next run launches another"
    )


def _somebody_there(stay: Stay) -> bool:
    """Whether somebody, say on another machine, has got on what this call launched and never got on."""
    call, launched = stay.call, stay.arrival.instance
    try:
        now = instances.watch(call.aws, launched.id) if launched else None
        return bool(now and now.address and was_used(host_of(call, now), call.aws, call.tools))
    except Exception as error:
        if explain(error) is None and not isinstance(error, Failure):
            raise
        return False  # it can't be asked; that it can't be ended either is for that call to say


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
            hint=f"{known.hint}; then `ec2tasks down` ends it" if known and known.hint else ENDS,
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
    if verdict.ending is Ending.TERMINATE:
        _forget(stay)
    elif stay.arrival.host and verdict.ending is Ending.STOP:
        close_master(stay.arrival.host, call.tools)


DETACHED = (
    "the command goes on there: `ec2tasks attach` comes back to it, `ec2tasks finish` waits for its end,"
    " fetches its results and ends the instance"
)
ENDS = "`ec2tasks down` ends it"
BUSY = "`ec2tasks finish` waits for a detached command's end; `ec2tasks down --no-rsync` ends it now"
PAST = {Ending.LEAVE: "left running", Ending.STOP: "stopped", Ending.TERMINATE: "terminated"}


def _next(ending: Ending, results_here: bool) -> str | None:
    if ending is Ending.TERMINATE:
        return None
    if not results_here:
        return "`ec2tasks down` fetches what is there and ends it; `ec2tasks down --no-rsync` gives it up"
    return ENDS if ending is Ending.LEAVE else f"the next run starts it again; {ENDS}"
