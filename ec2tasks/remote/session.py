"""A client's presence on the instance: hands over what a run needs, tells whether it is the last out."""

from __future__ import annotations

import contextlib
import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from enum import Enum
from functools import partial

from ec2tasks.base import output
from ec2tasks.base.channel import Channel
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import MEBIBYTE, ExceededError, Limits
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import PIPE, Tools, end_quietly, start_thread
from ec2tasks.remote.job_name import Named, title_of
from ec2tasks.remote.listening import say_server
from ec2tasks.remote.notice import Notice, read_notice, say_stalled
from ec2tasks.remote.protocol import (
    JOB_ID,
    Message,
    ProtocolError,
    Value,
    message_line,
    read_job_id,
    read_message,
    script_argv,
)
from ec2tasks.ssh.forwards import Forward, open_here
from ec2tasks.ssh.host import Host

HEARTBEAT = 5.0  # seconds; the instance forgets a client that says nothing for 60
ANSWER_LIMIT = 60.0  # seconds for an answer; joining waits while a last client decides
TALKING = Limits(out=MEBIBYTE, seconds=ANSWER_LIMIT)  # by a login, by the instance as long as it is held
GUARD_LIMIT = 90.0  # seconds more for joining, where the guard is not armed yet
RUNNING_TOLD = 50  # jobs; as many are kept there
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
    the last client, None to leave that to the others. `idle_stop`, `max_seconds`, `cost_seconds` (after which
    max_cost is spent), `stalled_stop`: the guard's limits in seconds, 0 for never, None for as they were.
    `start`: when the instance last started; with a new start, what counts time counts anew. `new`: this
    client has launched it, so that it must have a guard. `spot`: AWS may take it back.
    """

    job_id: str
    remote_dir: str
    start: str
    mode: SessionMode = SessionMode.WORK
    final_state: FinalState | None = None
    idle_stop: int | None = None
    max_seconds: int | None = None
    cost_seconds: int | None = None
    stalled_stop: int | None = None
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


@dataclass(frozen=True, kw_only=True)
class RunningJob:
    """A job that runs on the instance; `seen`: some client is with it."""

    name: Named
    seen: bool


def read_running(text: str) -> tuple[RunningJob, ...]:
    """The jobs that an instance says run on it, as far as that can be understood."""
    found = []
    for line in text.splitlines()[:RUNNING_TOLD]:
        job_id, _, rest = line.partition(" ")
        seen, _, command = rest.partition(" ")
        if JOB_ID.fullmatch(job_id):
            name = Named(job_id=job_id, title=title_of(command or None), running=True)
            found.append(RunningJob(name=name, seen=seen == "yes"))
    return tuple(found)


@dataclass(kw_only=True)
class Session:
    """A client's session on the instance; it ends with the process that holds it.

    `home`: the login user's there. `environment`: which one the job will take, as environment.sh tells it.
    `running`: the jobs that run there.
    `empty`: nothing of the project is there; `clean`: what is there had all been fetched before. `notice`:
    that the instance is about to end, if it has said so. `told`: the ports on which its job is known to
    listen; `opened`: what is forwarded to here.
    """

    channel: Channel
    home: str = ""
    environment: str = ""
    running: tuple[RunningJob, ...] = ()
    empty: bool = False
    clean: bool = False
    leaving: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)
    notice: Notice | None = None
    answers: queue.Queue[Message | None] = field(default_factory=queue.Queue)
    told: set[int] = field(default_factory=set)
    opened: Callable[[], Iterable[Forward]] = tuple

    def listen(self) -> None:
        """Take in what the instance says until it hangs up: that it is about to end, and the last answer."""
        with contextlib.suppress(OSError, ValueError, ExceededError):
            while (line := self.channel.read_line()) is not None:
                message = read_message(line, "notice", "stalled", "serves", "last", "others")
                if message is None:
                    continue
                if message.verb == "notice":
                    with contextlib.suppress(ProtocolError):
                        self.notice = read_notice(message)
                elif message.verb == "stalled":
                    say_stalled(message)
                elif message.verb == "serves":
                    say_server(message, self.told, self.opened)
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

    def pulling(self, *, done: bool) -> None:
        """Say that what is there is being fetched beside a command, or has been."""
        with contextlib.suppress(OSError, ValueError), self.writing:
            self.send("pulled" if done else "pulling")

    def follow(self, job_id: str) -> None:
        """Say that the client is with another job than its own."""
        with contextlib.suppress(OSError, ValueError), self.writing:
            self.send("follows", job=job_id)

    @property
    def alive(self) -> bool:
        """Whether the channel to the instance still stands, as far as is known here."""
        return self.channel.alive

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
        self.channel.send(message_line(verb, **values))


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

    `files`, by name, are written to the job's folder there; what is no script is seen by nobody else. Raises
    Failure where the instance does not let this client in.
    """
    ssh = tools.start(
        session_argv(host, request, {name: text for name, text in files.items() if name.endswith(".sh")}),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    channel = Channel(ssh, TALKING)
    session = Session(channel=channel, opened=partial(open_here, host, tools))
    try:
        with contextlib.suppress(BrokenPipeError):
            for name, text in files.items():
                if not name.endswith(".sh"):
                    session.send("file", name=name, body=text)
            session.send("start")
        joined = _answer(host, channel)
        session.home = joined.need("home", str)
        session.environment = joined.get("environment", str, "")
        session.running = read_running(joined.get("running", str, ""))
        session.empty = joined.get("used", str, "") != "yes"
        session.clean = joined.get("fetched", str, "") == "yes"
        if joined.get("guarded", str, "") != "yes":
            output.warning(UNGUARDED, hint="`ec2tasks down` ends it; user data may have failed there")
        for act in (session.beat, session.listen):
            start_thread(act)
        yield session
    finally:
        session.leaving.set()
        end_quietly(ssh, ssh.stdin)


def scripts_text(scripts: Mapping[str, str]) -> str:
    """The function of session.sh's that writes these scripts into the job's folder.

    They are no secret, and bash reads what comes on its input byte by byte.
    """
    lines = [f'printf %s {shlex.quote(text)} >"$job_dir/{name}" &&' for name, text in scripts.items()]
    return "\n".join(["write_scripts() {", *lines, "true", "}"])


def session_argv(host: Host, request: SessionRequest, scripts: Mapping[str, str]) -> list[str]:
    """An ssh that runs session.sh on the instance, which writes these scripts there first."""
    return script_argv(
        host,
        "session.sh",
        before=scripts_text(scripts),
        job=request.job_id,
        folder=request.remote_dir,
        mode=request.mode.value,
        final_state=request.final_state.value if request.final_state else None,
        idle_stop=request.idle_stop,
        max_seconds=request.max_seconds,
        cost_seconds=request.cost_seconds,
        stalled_stop=request.stalled_stop,
        start=request.start,
        new=request.new,
        spot=request.spot,
    )


def _answer(host: Host, channel: Channel) -> Message:
    """The first answer of session.sh; a login may print something of its own before."""
    last = ""
    deadline = time.monotonic() + ANSWER_LIMIT + GUARD_LIMIT
    while (line := channel.read_line(deadline)) is not None:
        last = line or last
        message = read_message(line, "joined")
        if message:
            return message
    words = last or channel.last_words() or "no answer"
    raise Failure(f"instance {host.instance_id} takes no session: {words}")
