"""A call's stay on the instance: the session it holds, and what its end needs to know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ec2tasks import instance as instances
from ec2tasks.access import Host, close_master, open_master
from ec2tasks.arrival import Arrival, Call
from ec2tasks.aws import explain
from ec2tasks.ending import Ending, Facts
from ec2tasks.errors import Failure
from ec2tasks.instance import Instance
from ec2tasks.rsync import There, there_on
from ec2tasks.session import Leaving, Limits, Session, join

KEEP, LOOK = "keep", "look"  # a session that asks for no end of life; one that changes nothing there either


@dataclass(kw_only=True)
class Stay:
    """A call's stay on the instance, as far as its end needs to know it.

    `wanted` None asks for no end of life of its own; `explicit` asks for nothing else; `looks`: it only
    looks, and leaves what ran as it was; `alters`: it may change what is there. `detaches`: it leaves a
    command running, whose end of life is not for the other sessions to apply; `detached`: it has.

    `session` is the one it holds, under `run_id`, until `boarded` is closed; `home` is the user's there.
    `empty`: nothing of the project is there yet; `clean`: all on it before had been fetched. `shared`: other
    clients are on it; `gone`: AWS has ended it.

    `results_here`: all that is there is here, fetched or given up; `fetched`: it has been fetched;
    `interrupted`: Ctrl-C ended the fetch.
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
    alters: bool = True
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
            wanted=Ending.LEAVE if self.detached or (self.looks and not self.arrival.started) else wanted,
            explicit=self.explicit,
            launched=self.arrival.launched,
            started=self.arrival.started,
            joined=self.joined,
            touched=self.touched,
            results_here=self.results_here and not (leaving and leaving.unfetched),
            others=self.shared if leaving or self.shared else None,
            can_stop=not self.arrival.instance.spot,
            left=leaving.left if leaving else "",
        )

    def rejoin(self, host: Host) -> None:
        """Hold a session again where the one that was held broke. Raises Failure where it is not let in."""
        if self.session and self.boarded and not self.session.alive:
            self.session = self.boarded.enter_context(joined(self, host, {}))

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
        return now is not None and now.state not in instances.HALTED

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


def _end_asked_for(stay: Stay) -> str:
    """The end of life that the session asks the last one out for, as session.sh takes it."""
    if stay.wanted and not stay.detaches:
        return stay.wanted.value
    return KEEP if stay.alters else LOOK


def joined(stay: Stay, host: Host, files: Mapping[str, str]) -> contextlib.AbstractContextManager[Session]:
    """A session on this host, with what this stay asks for."""
    return join(
        host,
        stay.call.tools,
        run_id=stay.run_id,
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
