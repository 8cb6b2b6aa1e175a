"""A call's stay on the instance: the session it holds, and what its end needs to know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum

from ec2tasks.aws import instances
from ec2tasks.aws import prices as price
from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import FAILURE_CODE, INTERRUPTED_CODE, Failure
from ec2tasks.base.final_state import Facts, FinalState
from ec2tasks.lifecycle.acquire import Arrival
from ec2tasks.lifecycle.context import Call
from ec2tasks.remote.folder import RemoteFolder, remote_folder
from ec2tasks.remote.job import new_job_id
from ec2tasks.remote.session import Leaving, Limits, Session, join
from ec2tasks.ssh.connect import close_master, open_master
from ec2tasks.ssh.host import Host

# A session that asks for no end of life; one that changes nothing there either; one that nobody waits for.
KEEP, LOOK, WATCH = "keep", "look", "watch"


class Results(Enum):
    """Where the results are that a call leaves behind; MISSING: some may be on the instance alone."""

    MISSING = "missing"
    FETCHED = "fetched"
    GIVEN_UP = "given up"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a call wants of the instance.

    `end` None asks for no end of life of its own; `explicit` asks for nothing else. `detaches`: it leaves a
    command running, whose end of life is not for the other sessions to apply. `alters`: it may change what is
    there; `looks`: it leaves what runs as it is, and nobody waits for it.
    """

    end: FinalState | None = None
    explicit: bool = False
    detaches: bool = False
    looks: bool = False
    alters: bool = True


@dataclass(kw_only=True)
class Stay:
    """A call's stay on the instance, as far as its end needs to know it.

    `session` is the one it holds, under `run_id`, until `boarded` is closed. `empty`: nothing of the project
    is there yet; `clean`: all on it before had been fetched; `touched`: something may be on it.

    `shared`: other clients are on it; `detached`: a command was left running; `gone`: AWS has ended it;
    `interrupted`: Ctrl-C ended what was under way; `ended`: what became of it.
    """

    call: Call
    intent: Intent
    results: Results = Results.MISSING
    touched: bool = False
    arrival: Arrival = field(default_factory=Arrival)
    session: Session | None = None
    boarded: contextlib.ExitStack | None = None
    job_id: str = field(default_factory=new_job_id)
    empty: bool = False
    clean: bool = False
    shared: bool = False
    detached: bool = False
    gone: bool = False
    interrupted: bool = False
    ended: FinalState | None = None
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def host(self) -> Host:
        """How the instance that was arrived at is reached now."""
        assert self.arrival.host is not None
        return self.arrival.host

    @property
    def joined(self) -> bool:
        """Whether it has ever held a session."""
        return self.session is not None

    @property
    def there(self) -> RemoteFolder:
        """The project's folder on the instance, as it is reached now."""
        home = self.session.home if self.session else ""
        return remote_folder(self.host, folder=self.call.settings.remote_dir, home=home, empty=self.empty)

    @property
    def notice(self) -> str:
        """When AWS takes this spot instance back, as the instance has been told; empty for never."""
        return self.session.notice if self.session else ""

    def facts(self, leaving: Leaving | None) -> Facts:
        """What the decision on the instance's end needs."""
        assert self.arrival.instance is not None
        # A later session's end of life replaces an earlier one's: the instance knows which came last.
        asked = leaving.final_state if leaving else None
        own = self.intent.end or (FinalState.STOP if self.arrival.started else FinalState.LEAVE)
        wanted = FinalState(asked) if asked else own
        return Facts(
            wanted=FinalState.LEAVE if self.detached else wanted,
            explicit=self.intent.explicit,
            launched=self.arrival.launched,
            started=self.arrival.started,
            joined=self.joined,
            touched=self.touched,
            results_here=self.results is not Results.MISSING and not (leaving and leaving.unfetched),
            others=self.shared if leaving or self.shared else None,
            can_stop=not self.arrival.instance.spot,
            run=leaving.run if leaving else "",
            elsewhere=leaving.elsewhere if leaving else "",
            left=leaving.left if leaving else "",
            detached=self.detached,
            pressed=self.interrupted,
        )

    def cost(self) -> float | None:
        """Dollars that this stay has cost so far, None where the price is not known."""
        assert self.arrival.instance is not None
        return price.cost(self.arrival.instance.price, self.began, datetime.now(timezone.utc))

    def exit_code(self, code: int, *, fetch: bool) -> int:
        """A command's own; where its results were to be fetched and are not here, that is a failure."""
        if code or self.results is not Results.MISSING or self.detached or not fetch:
            return code
        return INTERRUPTED_CODE if self.interrupted else FAILURE_CODE

    def rejoin(self, host: Host) -> None:
        """Hold a session again where the one that was held broke. Raises Failure where it is not let in."""
        if self.session and self.boarded and not self.session.alive:
            self.session = self.boarded.enter_context(joined(self, host, {}))

    def leave(self) -> Leaving | None:
        """Leave the session, come back to for that where it broke. None where the instance can't be asked."""
        whole = self.results is Results.FETCHED
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
        return now is not None and now.state not in instances.HALTED

    def ask_state(self) -> Instance | None:
        """The instance as AWS knows it now; as it was where AWS can't be asked, None where it is gone."""
        found = self.arrival.instance
        assert found is not None
        try:
            now = instances.describe_instance(self.call.aws, found.id)
        except Exception as error:
            if explain(error) is None:
                raise
            return found
        return now if now and now.state not in instances.GONE else None


def _end_asked_for(stay: Stay) -> str:
    """The end of life that the session asks the last one out for, as session.sh takes it."""
    if stay.intent.end and not stay.intent.detaches:
        return stay.intent.end.value
    if stay.intent.looks:
        return WATCH
    return KEEP if stay.intent.alters else LOOK


def joined(stay: Stay, host: Host, files: Mapping[str, str]) -> contextlib.AbstractContextManager[Session]:
    """A session on this host, with what this stay asks for."""
    return join(
        host,
        stay.call.tools,
        job_id=stay.job_id,
        remote_dir=stay.call.settings.remote_dir,
        final_state=_end_asked_for(stay),
        files=files,
        limits=_limits(stay),
    )


def _limits(stay: Stay) -> Limits:
    """The guard's limits that somebody asked for; a default leaves standing what an earlier call set."""
    settings, found = stay.call.settings, stay.arrival.instance
    assert found is not None
    return Limits(
        idle_stop=settings.idle_stop if settings.given("idle_stop") else None,
        max_seconds=settings.max_hours if settings.given("max_hours") else None,
        start=found.launched.isoformat(),
        new=stay.arrival.launched,
        spot=found.spot,
    )
