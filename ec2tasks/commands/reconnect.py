"""Keeps the connection to a job, and gets back to it after the connection broke."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ec2tasks.aws import instances
from ec2tasks.aws.credential_errors import EndedError
from ec2tasks.aws.errors import UnreachableError, explain
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import TooMuchError
from ec2tasks.base.process import Tools, start_thread
from ec2tasks.lifecycle.find import host_of, keep_entry
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import InstanceGoneError
from ec2tasks.lifecycle.spot import taken_error, was_taken
from ec2tasks.remote import job as jobs
from ec2tasks.remote.end_job import send_signal
from ec2tasks.remote.job import Job, JobStatus
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.ssh.connect import close_master, open_master
from ec2tasks.ssh.forwards import Forward, forward, forward_again, stop_forwarding
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.ports import destination

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before an attempt; the last one stays
VAIN_LIMIT = 3  # connections that bring nothing although the instance answers
LOOK_PATIENCE = 10.0  # seconds that AWS's answer is waited for; it may come during a later attempt


@dataclass(kw_only=True)
class JobConnection:
    """The connection to a job on the instance, made again for as long as its instance runs.

    `on_begun` is called once the job is known to have begun, `on_printed` with each part of what it prints.
    `lost`: it was said to be, and why (`said_why`); `ended`: so were the credentials. `looking` asks AWS what
    became of the instance, and leaves its `answer`.
    """

    lease: Lease
    job: Job
    on_begun: Callable[[], None] = lambda: None
    on_printed: Callable[[bytes], None] = lambda _block: None
    tries: int = 0
    lost: bool = False
    said_why: bool = False
    ended: bool = False
    looking: threading.Thread | None = None
    answer: Instance | Failure | None = None

    @property
    def tools(self) -> Tools:
        """How ssh is started here."""
        return self.lease.context.tools

    @property
    def host(self) -> Host:
        """How the instance is reached now."""
        return self.lease.host

    @property
    def ssh_log(self) -> Path:
        """Where ssh writes what it has to say itself."""
        return self.host.sockets / f"said-{self.job.job_id}"

    @contextlib.contextmanager
    def forwarding(self) -> Iterator[None]:
        """While inside, the job's ports are open. Raises Failure where one can't be opened."""
        wanted = [
            *(Forward(option="-L", spec=spec) for spec in self.job.ports),
            *(Forward(option="-R", spec=spec) for spec in self.job.reverse_ports),
        ]
        if wanted:
            open_master(self.host, self.tools)
        forward(self.host, self.tools, wanted)
        try:
            yield
        finally:
            with contextlib.suppress(Failure):  # the job's own end counts
                stop_forwarding(self.host, self.tools, wanted)

    def interrupt(self) -> None:
        """Send Ctrl-C to the command; where the connection is about to break, once more over another."""
        for _ in range(3):
            if send_signal(self.host, self.job.job_id, "INT", self.tools):
                return

    def connected(self) -> None:
        """Take down that the connection stands and the job has begun; say so where it was said to be lost."""
        self.on_begun()
        self.tries = 0
        if self.lost:
            self.lost = self.said_why = False
            output.step("connected again")

    def reconnect(self, *, met: bool, begun: bool) -> JobStatus | None:
        """How the command stands, asked over a connection that answers; tries until there is one.

        `met`: a connection got as far as the command, `begun`: the last one did. Raises Failure where the
        instance has ended, does not take the command, or turns out to be another.
        """
        self.tries = 0 if begun else self.tries + 1
        while True:
            self.lease.hold_host_key()
            if self.tries:
                self._say_lost(met=met)
            time.sleep(PAUSES[min(self.tries, len(PAUSES) - 1)])
            try:
                status = self._reach()
            except (InstanceGoneError, ProtocolError, TooMuchError):
                raise
            except Failure as refusal:
                self.tries += 1
                self._say_why(refusal)
                continue
            if status and status.over:
                return status
            if not met and self.tries >= VAIN_LIMIT:
                raise jobs.not_started(self._last_line_of_ssh())
            self._say_lost(met=met)
            return status

    def _say_lost(self, *, met: bool) -> None:
        if not self.lost:
            self.lost = True
            output.step(f"connection lost, trying again{' (the command goes on there)' if met else ''}")

    def _say_why(self, refusal: Failure) -> None:
        """Say once what ssh says: it may stay so, where a host key was made anew there, say."""
        if self.tries >= VAIN_LIMIT and not self.said_why:
            self.said_why = True
            output.step(f"no connection yet: {(refusal.what.splitlines() or ['no reason given'])[-1]}")

    def _last_line_of_ssh(self) -> str:
        with contextlib.suppress(OSError):
            return self.ssh_log.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]
        return ""

    def _reach(self) -> JobStatus | None:
        """Ask over the kept connection, or a new one. Raises Failure where neither answers."""
        refusal = open_master(self.host, self.tools)
        if refusal is not None:
            self._look_at_aws(admitting="timed out" in refusal)
            raise Failure(refusal)
        with contextlib.suppress(Failure):  # a disk that takes nothing
            for lost in forward_again(self.host, self.tools):
                say_lost_port(lost)
        try:
            status = jobs.job_status(self.host, self.tools, self.job.job_id)
        except Failure:
            # It stands, but carries nothing any more: this machine's network may have changed.
            close_master(self.host, self.tools)
            raise
        self.lease.rejoin()
        return status

    def _look_at_aws(self, *, admitting: bool) -> None:
        """Follow the instance to another address. Raises InstanceGoneError where it no longer runs."""
        if self.looking is None:
            # A thread that nobody waits for at the end: without a network it takes minutes to give up.
            self.looking = start_thread(self._ask_aws, admitting)
        self.looking.join(LOOK_PATIENCE)
        if self.looking.is_alive():
            return
        self.looking = None
        answer = self.answer
        if isinstance(answer, Failure):
            if self.lease.context.aws.endpoint.is_own and isinstance(answer, UnreachableError):
                # A place on this machine: without its API, its instances are gone too.
                raise InstanceGoneError(answer.what, hint=answer.hint)
            if isinstance(answer, EndedError) and not self.ended:
                self.ended = True
                output.warning(f"AWS can't be asked what became of it: {answer.what}", hint=answer.hint)
        elif answer is None or answer.state not in instances.UP:
            raise self._gone(answer)
        elif answer.address_by(self.lease.context.settings.via):
            self.lease.move_to(answer, host_of(self.lease.context, answer))
            keep_entry(self.lease.context, self.lease.host)

    def _gone(self, instance: Instance | None) -> InstanceGoneError:
        """The failure that the instance no longer runs; AWS may not know it any more."""
        self.lease.acquired.instance = instance or self.lease.instance
        if instance and was_taken(self.lease, instance):
            return taken_error(self.lease)
        state = instance.state if instance else "gone"
        why = f", ended by {self.lease.notice.reason.value}" if self.lease.notice else ""
        return InstanceGoneError(
            f"{self.lease.instance.where} is {state}{why}: job {self.job.job_id} is lost",
            hint="`ec2tasks down` starts it again, fetches what was left and ends it"
            if "stop" in state
            else "what was fetched until then is here",
            terminated=instance is None or instance.state in instances.GONE,
        )

    def _admit(self, group_ids: Sequence[str]) -> None:
        """Open the SSH port to where this machine is now. Raises Failure where nobody tells that."""
        context = self.lease.context
        from ec2tasks.aws.own_address import networks_here  # a run whose connection stands needs neither
        from ec2tasks.aws.security_groups import open_ssh_port

        open_ssh_port(
            context.aws,
            group_ids,
            owner=context.settings.key_name,
            port=self.host.port,
            networks=lambda: networks_here(context.aws, context.settings),
        )

    def _ask_aws(self, admitting: bool) -> None:
        context = self.lease.context
        try:
            self.answer = instances.describe_instance(context.aws, self.host.instance_id)
            if self.answer and admitting:
                # This machine may be somewhere else by now. Where nobody tells, the next look asks again.
                with contextlib.suppress(Failure):
                    self._admit(self.answer.group_ids)
        except Exception as error:
            self.answer = explain(error)
            if self.answer is None:
                raise


def say_lost_port(lost: Forward) -> None:
    """Say that a port did not come back with the connection, and what opens it."""
    hint = "a connection that died may hold it for a minute; the next run's -R opens it"
    if lost.option == "-L":
        name, port = destination(lost.spec)
        hint = f"`ec2tasks ports {lost.spec}` opens it once its port is free"
        if name == "localhost":
            hint = f"`ec2tasks ports {port}` opens it on one that is free"
    output.warning(f"{' '.join(lost.words)} did not come back: its port is taken by now", hint=hint)
