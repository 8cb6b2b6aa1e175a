"""A client's presence on the instance: hands over what a run needs, tells whether it is the last out."""

from __future__ import annotations

import base64
import contextlib
import queue
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools, end_quietly
from ec2tasks.base.scripts import remote_script
from ec2tasks.ssh.host import Host, ssh_argv

HEARTBEAT = 5.0  # seconds; the instance forgets a client that says nothing for 60
ANSWER_LIMIT = 60.0  # seconds for an answer; joining waits while a last client decides
CHATTER = 100  # lines that a login may print
GUARD_LIMIT = 90.0  # seconds more for joining, where the guard is not armed yet


UNGUARDED = "the instance's guard does not answer: nothing will end it when it is idle"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client tells the guard: seconds, 0 for never, None for as it was.

    `start` is when the instance last started: of a new start, max_hours counts anew. `new`: this client has
    launched it, so it must have a guard. `spot`: AWS may take it back, and says so on it.
    """

    idle_stop: int | None
    max_seconds: int | None
    start: str
    new: bool
    spot: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """As session.sh takes them."""
        idle, longest = ("-" if one is None else str(one) for one in (self.idle_stop, self.max_seconds))
        return idle, longest, self.start, "new" if self.new else "-", "spot" if self.spot else ""


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What the instance says to a client that leaves.

    `unfetched`: there is more than it has fetched. `elsewhere`: a folder there, not the client's, that nobody
    has fetched. `left`: what a command left working there, by name. `untold`: runs whose end nobody was there
    to see. `run`: one that still runs, where that is who else is there.
    """

    last: bool
    final_state: str | None = None
    unfetched: bool = False
    elsewhere: str = ""
    left: str = ""
    untold: tuple[str, ...] = ()
    run: str = ""

    @property
    def bare(self) -> bool:
        """Whether nobody and nothing is left there but what this client has fetched."""
        return self.last and not (self.unfetched or self.elsewhere or self.left)


@dataclass(kw_only=True)
class Session:
    """A joined session; it ends with the process that holds it.

    `home` is the login user's there; `empty`: nothing of the project is there; `clean`: what is
    there had all been fetched before; `notice`: when AWS takes this
    spot instance back, if it has said so.
    """

    channel: subprocess.Popen[bytes]
    home: str = ""
    empty: bool = False
    clean: bool = False
    quiet: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)
    notice: str = ""
    answers: queue.Queue[list[str]] = field(default_factory=queue.Queue)

    def listen(self) -> None:
        """Take in what the instance says until it hangs up: when AWS takes it back, and the last answer."""
        with contextlib.suppress(OSError, ValueError):
            while words := read_line(self.channel, None).split():
                if words[0] == "notice":
                    self.notice = words[1] if len(words) > 1 else "any moment"
                else:
                    self.answers.put(words)
        self.answers.put([])

    def beat(self) -> None:
        """Tell the instance now and then that this client is alive, until the session is left."""
        while not self.quiet.wait(HEARTBEAT):
            with contextlib.suppress(OSError, ValueError), self.writing:
                self._send(b"alive\n")

    def fetching(self) -> None:
        """Say that from now on everything is fetched: what comes later may be missing."""
        with contextlib.suppress(OSError, ValueError), self.writing:
            self._send(b"fetching\n")

    @property
    def alive(self) -> bool:
        """Whether the channel to the instance still stands, as far as is known here."""
        return self.channel.poll() is None

    def leave(self, *, fetched: bool) -> Leaving | None:
        """Leave, and learn whether anyone else is there. None where the instance can't be asked.

        `fetched`: all that is there is here, so that the guard may end even what can't be stopped.
        """
        self.quiet.set()
        try:
            with self.writing:
                self._send(b"leave fetched\n" if fetched else b"leave\n")
            words = self.answers.get(timeout=ANSWER_LIMIT)
        except (OSError, ValueError, queue.Empty):
            return None
        return parse_leaving(words)

    def _send(self, line: bytes) -> None:
        assert self.channel.stdin is not None
        self.channel.stdin.write(line)
        self.channel.stdin.flush()


def parse_leaving(words: Sequence[str]) -> Leaving | None:
    """The answer to a client that leaves; None for no answer."""
    if words[:1] not in (["last"], ["others"]):
        return None
    said = dict(word.partition("=")[::2] for word in words[1:])
    if words[0] == "others":
        return Leaving(last=False, run=said.get("run", ""))
    return Leaving(
        last=True,
        final_state=words[1] if len(words) > 1 and words[1] != "-" else None,
        unfetched="unfetched" in words,
        elsewhere=base64.b64decode(said.get("elsewhere", "")).decode(errors="replace"),
        left=said.get("left", ""),
        untold=tuple(said.get("untold", "").split(",")) if "untold" in said else (),
    )


def remote_argv(host: Host, script: str, *words: str, options: Sequence[str] = ("-T",)) -> list[str]:
    """An ssh that runs one of our scripts there with these arguments."""
    return ssh_argv(host, "bash", "-c", remote_script(script), script, *words, options=options)


def handover(files: Mapping[str, str]) -> bytes:
    """The lines that hand files over to the run, then the one that ends them."""
    lines = [f"file {name} {base64.b64encode(text.encode()).decode()}\n" for name, text in files.items()]
    return "".join([*lines, "start\n"]).encode()


@contextlib.contextmanager
def join(
    host: Host,
    tools: Tools,
    *,
    job_id: str,
    remote_dir: str,
    final_state: str,
    files: Mapping[str, str],
    limits: Limits,
) -> Iterator[Session]:
    """Be present on the instance, once its guard is armed.

    Raises Failure where it does not let this client in.
    """
    argv = remote_argv(host, "session.sh", final_state, job_id, remote_dir, *limits.words)
    channel = tools.start(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    session = Session(channel=channel)
    try:
        with contextlib.suppress(BrokenPipeError):
            session._send(handover(files))
        answer = _answer(channel)
        words = answer.split(" ", 4)
        if words[0] != "joined" or len(words) < 5:
            raise Failure(f"instance {host.instance_id} takes no session: {answer or _last_words(channel)}")
        session.empty, session.clean, session.home = words[1] == "empty", words[3] == "fetched", words[4]
        if words[2] == "unguarded":
            output.warning(UNGUARDED, hint="`ec2tasks down` ends it; user data may have failed there")
        for act in (session.beat, session.listen):
            threading.Thread(target=act, daemon=True).start()
        yield session
    finally:
        session.quiet.set()
        end_quietly(channel, channel.stdin)


def _answer(channel: subprocess.Popen[bytes]) -> str:
    """What session.sh says first; a login there may print something of its own before."""
    answer = ""
    for _ in range(CHATTER):
        answer = read_line(channel, ANSWER_LIMIT + GUARD_LIMIT)
        if answer.startswith("joined ") or channel.poll() is not None:
            break
    return answer


def _last_words(channel: subprocess.Popen[bytes]) -> str:
    channel.terminate()
    said = channel.communicate()[1].decode(errors="replace").strip()
    return said.splitlines()[-1] if said else "no answer"


def read_line(channel: subprocess.Popen[bytes], limit: float | None) -> str:
    """The next line of a process; empty where it ended. Raises Failure after so many seconds."""
    assert channel.stdout is not None
    found = b""
    deadline = time.monotonic() + limit if limit is not None else None
    with selectors.DefaultSelector() as selector:
        selector.register(channel.stdout, selectors.EVENT_READ)
        while not found.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic()) if deadline is not None else None):
                raise Failure(f"the instance gave no answer for {limit:.0f} s", hint="check the network")
            byte = channel.stdout.raw.read(1) if hasattr(channel.stdout, "raw") else channel.stdout.read(1)
            if not byte:
                break
            found += byte
    return found.decode(errors="replace").strip()
