"""A client's presence on the instance: hands over what a run needs, tells whether it is the last out."""

from __future__ import annotations

import contextlib
import queue
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import Tools, end_quietly
from ec2tasks.remote.protocol import (
    Message,
    Value,
    message_line,
    read_job_id,
    read_message,
    script_argv,
)
from ec2tasks.ssh.host import Host

HEARTBEAT = 5.0  # seconds; the instance forgets a client that says nothing for 60
ANSWER_LIMIT = 60.0  # seconds for an answer; joining waits while a last client decides
CHATTER = 100  # lines that a login may print
GUARD_LIMIT = 90.0  # seconds more for joining, where the guard is not armed yet
UNGUARDED = "the instance's guard does not answer: nothing will end it when it is idle"


class SessionMode(Enum):
    """What a client does on the instance; the values are the words that session.sh takes.

    WORK may change what is there; LOOK changes nothing there; WATCH neither, and nobody waits for it to
    leave.
    """

    WORK = "work"
    LOOK = "look"
    WATCH = "watch"


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """What a client asks of the instance when it joins.

    `remote_dir`: the project's folder, below the home. `final_state`: what is to become of the instance after
    the last client, None to leave that to the others. `idle_stop`, `max_seconds`: the guard's limits in
    seconds, 0 for never, None for as they were. `start`: when the instance last started; with a new start,
    max_seconds counts anew. `new`: this client has launched it, so that it must have a guard. `spot`: AWS may
    take it back.
    """

    job_id: str
    remote_dir: str
    start: str
    mode: SessionMode = SessionMode.WORK
    final_state: FinalState | None = None
    idle_stop: int | None = None
    max_seconds: int | None = None
    new: bool = False
    spot: bool = False


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What the instance says to a client that leaves: whether it is the last, and what is left there.

    `final_state`: what the clients asked for last, None for nothing. `unfetched`: there is more than this
    client has fetched. `elsewhere`: a folder there, not the client's, that nobody has fetched. `left`: what a
    command left working there, by its program's name. `untold`: ids of jobs whose end no client was there to
    see. `job_id`: a job that still runs, where that is who else is there.
    """

    last: bool
    final_state: FinalState | None = None
    unfetched: bool = False
    elsewhere: str = ""
    left: str = ""
    untold: tuple[str, ...] = ()
    job_id: str = ""

    @property
    def bare(self) -> bool:
        """Whether nobody and nothing is left there but what this client has fetched."""
        return self.last and not (self.unfetched or self.elsewhere or self.left)


@dataclass(kw_only=True)
class Session:
    """A client's session on the instance; it ends with the process that holds it.

    `home`: the login user's there. `empty`: nothing of the project is there; `clean`: what is there had all
    been fetched before. `notice`: when AWS takes this spot instance back, if it has said so.
    """

    channel: subprocess.Popen[bytes]
    home: str = ""
    empty: bool = False
    clean: bool = False
    leaving: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)
    notice: str = ""
    answers: queue.Queue[Message | None] = field(default_factory=queue.Queue)

    def listen(self) -> None:
        """Take in what the instance says until it hangs up: when AWS takes it back, and the last answer."""
        with contextlib.suppress(OSError, ValueError):
            while line := read_line(self.channel, None):
                message = read_message(line, "notice", "last", "others")
                if message is None:
                    continue
                if message.verb == "notice":
                    self.notice = message.get("time", str, "any moment")
                else:
                    self.answers.put(message)
        self.answers.put(None)

    def beat(self) -> None:
        """Tell the instance every few seconds that this client is alive, until it leaves."""
        while not self.leaving.wait(HEARTBEAT):
            with contextlib.suppress(OSError, ValueError), self.writing:
                self.send("alive")

    def fetching(self) -> None:
        """Say that from now on everything is fetched: what comes later may be missing."""
        with contextlib.suppress(OSError, ValueError), self.writing:
            self.send("fetching")

    @property
    def alive(self) -> bool:
        """Whether the channel to the instance still stands, as far as is known here."""
        return self.channel.poll() is None

    def leave(self, *, fetched: bool) -> Departure | None:
        """Leave, and learn whether anyone else is there. None where the instance can't be asked.

        `fetched`: all that is there is here, so that the guard may end even what can't be stopped. Raises
        ProtocolError for an answer of another version that can't be understood.
        """
        self.leaving.set()
        try:
            with self.writing:
                self.send("leave", fetched=fetched)
            message = self.answers.get(timeout=ANSWER_LIMIT)
        except (OSError, ValueError, queue.Empty):
            return None
        return read_departure(message) if message else None

    def send(self, verb: str, **values: Value) -> None:
        """Say this to session.sh. Raises OSError where it has gone."""
        assert self.channel.stdin is not None
        self.channel.stdin.write(message_line(verb, **values))
        self.channel.stdin.flush()


def read_departure(message: Message) -> Departure:
    """The instance's answer to a client that leaves. Raises ProtocolError for an unknown final state."""
    return Departure(
        last=message.verb == "last",
        final_state=message.get("final_state", FinalState, None),
        unfetched=message.get("unfetched", str, "") == "yes",
        elsewhere=message.get("elsewhere", str, ""),
        left=message.get("left", str, ""),
        untold=message.get("untold", lambda ids: tuple(map(read_job_id, ids.split(","))), ()),
        job_id=message.get("job", read_job_id, ""),
    )


@contextlib.contextmanager
def join(host: Host, tools: Tools, request: SessionRequest, files: Mapping[str, str]) -> Iterator[Session]:
    """Hold a session on the instance, once its guard is armed.

    `files`, by name, are written to the job's folder there. Raises Failure where the instance does not let
    this client in.
    """
    channel = tools.start(
        session_argv(host, request),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    session = Session(channel=channel)
    try:
        with contextlib.suppress(BrokenPipeError):
            for name, text in files.items():
                session.send("file", name=name, body=text)
            session.send("start")
        joined = _answer(host, channel)
        session.home = joined.need("home", str)
        session.empty = joined.get("used", str, "") != "yes"
        session.clean = joined.get("fetched", str, "") == "yes"
        if joined.get("guarded", str, "") != "yes":
            output.warning(UNGUARDED, hint="`ec2tasks down` ends it; user data may have failed there")
        for act in (session.beat, session.listen):
            threading.Thread(target=act, daemon=True).start()
        yield session
    finally:
        session.leaving.set()
        end_quietly(channel, channel.stdin)


def session_argv(host: Host, request: SessionRequest) -> list[str]:
    """An ssh that runs session.sh on the instance."""
    return script_argv(
        host,
        "session.sh",
        job=request.job_id,
        folder=request.remote_dir,
        mode=request.mode.value,
        final_state=request.final_state.value if request.final_state else None,
        idle_stop=request.idle_stop,
        max_seconds=request.max_seconds,
        start=request.start,
        new=request.new,
        spot=request.spot,
    )


def _answer(host: Host, channel: subprocess.Popen[bytes]) -> Message:
    """The first answer of session.sh; a login may print something of its own before."""
    line = ""
    for _ in range(CHATTER):
        line = read_line(channel, ANSWER_LIMIT + GUARD_LIMIT)
        message = read_message(line, "joined")
        if message:
            return message
        if channel.poll() is not None:
            break
    raise Failure(f"instance {host.instance_id} takes no session: {line or _last_words(channel)}")


def _last_words(channel: subprocess.Popen[bytes]) -> str:
    channel.terminate()
    words = channel.communicate()[1].decode(errors="replace").strip()
    return words.splitlines()[-1] if words else "no answer"


def read_line(channel: subprocess.Popen[bytes], limit: float | None) -> str:
    """The next line of a process; empty where it ended. Raises Failure after so many seconds."""
    assert channel.stdout is not None
    line = b""
    deadline = time.monotonic() + limit if limit is not None else None
    with selectors.DefaultSelector() as selector:
        selector.register(channel.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic()) if deadline is not None else None):
                raise Failure(f"the instance gave no answer for {limit:.0f} s", hint="check the network")
            byte = channel.stdout.raw.read(1) if hasattr(channel.stdout, "raw") else channel.stdout.read(1)
            if not byte:
                break
            line += byte
    return line.decode(errors="replace").strip()
