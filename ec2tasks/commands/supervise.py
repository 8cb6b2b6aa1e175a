"""Staying with a command until it ends or is left, whatever becomes of the connection."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.aws import instances
from ec2tasks.aws.errors import UnreachableError, explain
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.security_groups import open_ssh_port
from ec2tasks.base import output
from ec2tasks.base.errors import INTERRUPTED_CODE, Failure
from ec2tasks.base.process import exit_code
from ec2tasks.base.signals import handled
from ec2tasks.lifecycle.acquire import host_of
from ec2tasks.lifecycle.operation import Stay
from ec2tasks.remote import job as jobs
from ec2tasks.remote.follow import Detached, View, feeds, leave
from ec2tasks.remote.job import (
    BROKEN,
    MISSING,
    Job,
    JobStatus,
    forward_options,
    on_terminal,
    result,
    shares_terminal,
)
from ec2tasks.remote.session import remote_argv
from ec2tasks.ssh.connect import close_master, open_master
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.packages import install_missing

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before an attempt; the last one stays
VAIN_LIMIT = 3  # connections that bring nothing although the instance answers
LOOK_PATIENCE = 10.0  # seconds that AWS's answer is waited for; it may come during a later attempt
UNREAD = "nobody reads the output any more; the command goes on to its end, and its results come"


class InstanceGoneError(Failure):
    """There is nothing to come back to."""


class SpotTakenError(InstanceGoneError):
    """AWS has taken the spot instance back, as it may."""


def was_taken(stay: Stay, found: Instance) -> bool:
    """Whether AWS itself has ended a spot instance, rather than its owner, its guard or its command."""
    return found.state in instances.GONE and found.spot and ("Spot" in found.reason or bool(stay.notice))


def taken(stay: Stay) -> SpotTakenError:
    """The failure that says so."""
    assert stay.arrival.instance is not None
    return SpotTakenError(
        f"AWS took spot instance {stay.arrival.instance.where} back: what was fetched by then is here",
        hint="the same command again begins with that; resume: true in ec2.yaml does so unasked",
    )


def check_taken(stay: Stay) -> None:
    """Raise SpotTakenError where what just failed did so because AWS has taken the instance back."""
    before = stay.arrival.instance
    if before is None or not before.spot:
        return
    try:
        found = instances.describe_instance(stay.call.aws, before.id)
    except Exception as error:
        if explain(error) is None:
            raise
        return
    if found and was_taken(stay, found):
        stay.gone = True
        raise taken(stay)


@contextlib.contextmanager
def taken_back(stay: Stay) -> Iterator[None]:
    """What fails inside is a spot instance taken back, where AWS says so."""
    try:
        yield
    except Failure:
        check_taken(stay)
        raise


def never_began(stay: Stay, job: Job) -> bool:
    """Whether a command that was to be started is known not to have been."""
    try:
        return jobs.look(stay.host, stay.call.tools, job.job_id) is None
    except Failure:
        return False


def attend(stay: Stay, job: Job, *, start: bool, since: tuple[int, int] = (0, 0)) -> int:
    """Be with the command until it ends: its exit code, 130 after Ctrl-C.

    With `start` it is started first, unless it has been. What it printed is shown from these offsets on.
    Raises Detached where it is left running, Failure where it can't be started, was lost, or its instance has
    ended.
    """
    way = Way(stay=stay, job=job)
    if job.multi != "none" and on_terminal():
        return _at_multiplexer(way)
    view = _view(way)
    view.out.offset, view.err.offset = since
    try:
        with view.open():
            code = _followed(way, view, start=start)
    finally:
        way.said.unlink(missing_ok=True)
    return INTERRUPTED_CODE if view.interrupted(code) and not _is_shell(job) else code


def attended(stay: Stay, job: Job, *, start: bool, since: tuple[int, int] = (0, 0)) -> int:
    """Be with the command until it ends or is left to itself: its exit code, or that of leaving it."""
    try:
        return attend(stay, job, start=start, since=since)
    except Detached as left:
        if start and never_began(stay, job):
            raise KeyboardInterrupt from None
        stay.detached, stay.interrupted = True, left.code == INTERRUPTED_CODE
        return left.code


def _is_shell(job: Job) -> bool:
    return job.command is None and job.terminal


def _view(way: Way) -> View:
    job, raw = way.job, way.job.terminal and on_terminal() and not shares_terminal(os.environ)
    return View(
        tools=way.stay.call.tools,
        raw=raw,
        fed=raw or (job.fed and not job.terminal and feeds()),
        leaves=not _is_shell(job),
        interrupt=way.interrupt,
        on_meeting=way.say_back,
        unread=lambda: output.step(UNREAD),
    )


def _followed(way: Way, view: View, *, start: bool) -> int:
    """The command's exit code once it has ended and all of its output is here."""
    while True:
        code, said = view.once(lambda word: _follow_argv(way, view, word, start=start and not view.met))
        if code == MISSING and said and not view.met:
            install_missing(way.host, ("script",))
        elif said and code not in (BROKEN, MISSING) and code > 0:
            raise jobs.not_started(said)
        elif code != BROKEN and code >= 0:
            return code
        else:
            run = way.back(met=view.met, begun=view.begun)
            if run and run.over and (run.lost or (view.out.offset, view.err.offset) == run.kept):
                return result(run)


def _follow_argv(way: Way, view: View, word: str, *, start: bool) -> list[str]:
    words = [way.job.job_id, word, str(view.out.offset), str(view.err.offset), *(["start"] if start else [])]
    # What ssh itself has to say must not be taken for the command's.
    options = [*forward_options(way.job), "-E", str(way.said), "-T"]
    return remote_argv(way.host, "follow.sh", "follow", *words, options=options)


def _at_multiplexer(way: Way) -> int:
    """Be at the command's terminal; left by the multiplexer's own keys, it goes on."""
    while True:
        code = _attached(way)
        if code == BROKEN:
            run = way.back(met=True, begun=True)
            way.say_back()
        else:
            run = jobs.look(way.host, way.stay.call.tools, way.job.job_id)
            if run and not run.over:
                raise Detached(0)
        if run and run.over:
            return result(run)


def _attached(way: Way) -> int:
    options = [*forward_options(way.job), "-t", "-t"]
    argv = remote_argv(way.host, "follow.sh", "attach", way.job.job_id, options=options)
    with (
        handled((signal.SIGINT,), way.interrupt),
        handled((signal.SIGTERM,), lambda: leave(128 + signal.SIGTERM)),
        handled((signal.SIGHUP,), lambda: leave(128 + signal.SIGHUP)),
        way.stay.call.tools.start(argv) as ssh,
    ):
        try:
            return exit_code(ssh.wait())
        except Detached:
            ssh.terminate()  # it gives the terminal back as it was
            raise


@dataclass(kw_only=True)
class Way:
    """The way to a command on the instance, and back to it after the connection broke."""

    stay: Stay
    job: Job
    tries: int = 0
    lost: bool = False
    asked: threading.Thread | None = None
    answer: Instance | Failure | None = None

    @property
    def host(self) -> Host:
        """How the instance is reached now."""
        return self.stay.host

    @property
    def said(self) -> Path:
        """Where ssh writes what it has to say itself."""
        return self.host.sockets / f"said-{self.job.job_id}"

    def interrupt(self) -> None:
        """Send Ctrl-C to the command; where the connection is about to break, once more over another."""
        for _ in range(3):
            if jobs.send_signal(self.host, self.job.job_id, "INT", self.stay.call.tools):
                return

    def say_back(self) -> None:
        """Say that the connection stands again, where it was said to be lost."""
        self.tries = 0
        if self.lost:
            self.lost = False
            output.step("connected again")

    def back(self, *, met: bool, begun: bool) -> JobStatus | None:
        """How the command stands, asked over a connection that answers; tries until there is one.

        `met`: a connection got as far as the command, `begun`: the last one did. Raises Failure where the
        instance has ended, or answers but does not take the command.
        """
        self.tries = 0 if begun else self.tries + 1
        while True:
            if self.tries:
                self._say_lost(met=met)
            time.sleep(PAUSES[min(self.tries, len(PAUSES) - 1)])
            try:
                run = self._reach()
            except InstanceGoneError:
                raise
            except Failure:
                self.tries += 1
                continue
            if run and run.over:
                return run
            if not met and self.tries >= VAIN_LIMIT:
                raise jobs.not_started(self._own_words())
            self._say_lost(met=met)
            return run

    def _say_lost(self, *, met: bool) -> None:
        if not self.lost:
            self.lost = True
            output.step(f"connection lost, trying again{' (the command goes on there)' if met else ''}")

    def _own_words(self) -> str:
        with contextlib.suppress(OSError):
            return self.said.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]
        return ""

    def _reach(self) -> JobStatus | None:
        """Ask over the kept connection, or a new one. Raises Failure where neither answers."""
        tools = self.stay.call.tools
        said = open_master(self.host, tools)
        if said is not None:
            self._look_at_aws(admitting="timed out" in said)
            raise Failure(said)
        try:
            run = jobs.look(self.host, tools, self.job.job_id)
        except Failure:
            # It stands, but carries nothing any more: this machine's network may have changed.
            close_master(self.host, tools)
            raise
        self.stay.rejoin(self.host)
        return run

    def _look_at_aws(self, *, admitting: bool) -> None:
        """Follow the instance to another address. Raises InstanceGoneError where it no longer runs."""
        if self.asked is None:
            # A thread that nobody waits for at the end: without a network it takes minutes to give up.
            self.asked = threading.Thread(target=self._ask_aws, args=(admitting,), daemon=True)
            self.asked.start()
        self.asked.join(LOOK_PATIENCE)
        if self.asked.is_alive():
            return
        self.asked = None
        found, arrival = self.answer, self.stay.arrival
        if isinstance(found, Failure):
            if self.stay.call.aws.endpoint.is_own and isinstance(found, UnreachableError):
                # A place on this machine: without its API, its instances are gone too.
                raise InstanceGoneError(found.what, hint=found.hint)
            return
        assert arrival.instance is not None
        if found is None or found.state not in instances.UP:
            state = found.state if found else "gone"
            arrival.instance = found or arrival.instance
            self.stay.gone = found is None or found.state in instances.GONE
            if found and was_taken(self.stay, found):
                raise taken(self.stay)
            raise InstanceGoneError(
                f"{arrival.instance.where} is {state}: run {self.job.job_id} is lost",
                hint="`ec2tasks down` starts it again, fetches what was left and ends it"
                if "stop" in state
                else "what was fetched until then is here",
            )
        if found.address:
            arrival.instance, arrival.host = found, host_of(self.stay.call, found)

    def _ask_aws(self, admitting: bool) -> None:
        call = self.stay.call
        try:
            self.answer = instances.describe_instance(call.aws, self.host.instance_id)
            if self.answer and admitting:
                # This machine may be somewhere else by now.
                open_ssh_port(
                    call.aws, self.answer.group_ids, owner=call.settings.key_name, port=self.host.port
                )
        except Exception as error:
            self.answer = explain(error)
            if self.answer is None:
                raise
