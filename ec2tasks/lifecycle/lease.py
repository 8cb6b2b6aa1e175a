"""The instance that an operation holds: how it is reached at the moment, and the session on it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime, timezone

from ec2tasks.aws import instances
from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.prices import cost
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.acquire import Acquired
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome, Results
from ec2tasks.remote.folder import RemoteFolder, remote_folder
from ec2tasks.remote.notice import Notice
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.remote.session import Departure, Session, join
from ec2tasks.ssh.connect import close_master, open_master
from ec2tasks.ssh.host import Host


@dataclass(kw_only=True)
class Lease:
    """The instance that an operation holds, from acquiring to release.

    What it is asked for stands in `operation`, how its work went is the Outcome that each step returns. What
    changes here is the connection alone: to another address, to another session. The thread that fetches
    results meanwhile reads it, so it changes under `lock`.

    `nothing_there`: no file of the project is on the instance yet; `all_fetched`: all that was on it when the
    session began had been fetched. `job_begun`: a job of this operation may have made something there.
    `followed`: the job of another client that it is with.
    """

    operation: Operation
    acquired: Acquired = field(default_factory=Acquired)
    session: Session | None = None
    nothing_there: bool = False
    all_fetched: bool = False
    job_begun: bool = False
    followed: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    sessions: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def context(self) -> CallContext:
        """What the call knows."""
        return self.operation.context

    @property
    def instance(self) -> Instance:
        """The acquired instance, as AWS described it last."""
        assert self.acquired.instance is not None
        return self.acquired.instance

    @property
    def host(self) -> Host:
        """How the acquired instance is reached at the moment."""
        assert self.acquired.host is not None
        return self.acquired.host

    @property
    def used(self) -> bool:
        """Whether something of value may be on the instance: it was there before, or a job has begun."""
        return self.job_begun or not self.acquired.launched

    @property
    def final_state(self) -> FinalState | None:
        """The final state that the operation asks of this instance; None for as it was found."""
        acquired = self.acquired
        return self.operation.final_state_of(launched=acquired.launched, started=acquired.started)

    @property
    def notice(self) -> Notice | None:
        """That the instance is about to end, as it has said itself."""
        return self.session.notice if self.session else None

    def hold_host_key(self) -> None:
        """Raise WrongHostKeyError where who answers has turned out not to be the instance."""
        if self.acquired.key_check:
            self.acquired.key_check.hold()

    def cost(self) -> float | None:
        """Dollars that the operation has cost so far, None where the price is not known."""
        return cost(self.instance.price, self.operation.began, datetime.now(timezone.utc))

    def folder(self) -> RemoteFolder:
        """The project's folder on the instance, as it is reached at the moment."""
        home = self.session.home if self.session else ""
        name = self.context.settings.remote_dir
        return remote_folder(self.host, folder=name, home=home, empty=self.nothing_there)

    def take_folder(self) -> RemoteFolder:
        """The same for who moves files: from here on something may be in it."""
        with self.lock:
            folder, self.nothing_there = self.folder(), False
            return folder

    def move_to(self, instance: Instance, host: Host) -> None:
        """Reach the instance from now on at another address."""
        with self.lock:
            self.acquired.instance, self.acquired.host = instance, host

    def join(self, host: Host, files: Mapping[str, str]) -> Session:
        """Begin a session on this host; it ends with the lease. Raises Failure where it is not let in."""
        with self.lock:
            launched = self.acquired.launched
            request = self.operation.session_request(self.instance, self.final_state, launched=launched)
            told = self.session.told if self.session else set[int]()
            self.session = self.sessions.enter_context(join(host, self.context.tools, request, files))
            self.session.told.update(told)
            if self.followed:
                self.session.follow(self.followed)
            return self.session

    def follow(self, job_id: str) -> None:
        """Be with that job from now on, which another client has begun."""
        with self.lock:
            self.followed = job_id
            if self.session:
                self.session.follow(job_id)

    def rejoin(self) -> None:
        """Begin a session again where the one that was held broke. Raises Failure where it is not let in."""
        with self.lock:
            if self.session and not self.session.alive:
                self.join(self.host, {})

    def reconnect(self) -> bool:
        """Open another connection in place of one that broke, and a session; whether that worked."""
        tools = self.context.tools
        close_master(self.host, tools)
        if open_master(self.host, tools) is not None:
            return False
        with contextlib.suppress(Failure):
            self.rejoin()
            return True
        return False

    def leave(self, outcome: Outcome) -> Departure | None:
        """Leave the session, after another connection where it broke. None where it can't be asked."""
        if self.session is None:
            return None
        fetched = outcome.results is Results.FETCHED
        try:
            answer = self.session.leave(fetched=fetched)
            ended = self.acquired.host is None or self.instance.state in instances.HALTED
            if answer or outcome.left_running or ended or not self.reconnect():
                return answer
            return self.session.leave(fetched=fetched)
        except ProtocolError as error:
            # Another version's answer: as good as none, by which nothing is terminated that may be needed.
            output.warn_of(error)
            return None

    def observe(self) -> Instance | None:
        """The instance as AWS knows it; as it was where AWS can't be asked, None where it is terminated."""
        try:
            instance = instances.describe_instance(self.context.aws, self.instance.id)
        except Exception as error:
            if explain(error) is None:
                raise
            return self.instance
        return instance if instance and instance.state not in instances.GONE else None

    def is_up(self) -> bool:
        """Whether the instance still runs, as far as AWS can be asked."""
        instance = self.observe()
        return instance is not None and instance.state not in instances.HALTED

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While inside, the lease's sessions and locks are held; they end with it."""
        with self.sessions:
            yield
