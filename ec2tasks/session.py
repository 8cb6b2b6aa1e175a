"""A client's presence on the instance: hands over what a run needs, tells whether it is the last out."""

from __future__ import annotations

import base64
import contextlib
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from ec2tasks import report
from ec2tasks.access import Host, ssh_argv
from ec2tasks.errors import Failure
from ec2tasks.process import Tools, end_quietly

HEARTBEAT = 15.0  # seconds; the instance forgets a client that says nothing for 60
ANSWER_LIMIT = 60.0  # seconds for an answer; joining waits while a last client decides
GUARD_LIMIT = 90.0  # seconds more for joining, where the guard is not armed yet


UNGUARDED = "the instance's guard does not answer: nothing will end it when it is idle"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client tells the guard: seconds, 0 for never, None for as it was.

    `start` is when the instance last started: of a new start, max_hours counts anew. `new`: this client has
    launched it, so it must have a guard.
    """

    idle_stop: int | None
    max_seconds: int | None
    start: str
    new: bool

    @property
    def words(self) -> tuple[str, str, str, str]:
        """As session.sh takes them."""
        idle, longest = ("-" if one is None else str(one) for one in (self.idle_stop, self.max_seconds))
        return idle, longest, self.start, "new" if self.new else "-"


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What the instance says to a client that leaves."""

    last: bool
    final_state: str | None


@dataclass(kw_only=True)
class Session:
    """A joined session; it ends with the process that holds it."""

    channel: subprocess.Popen[bytes]
    quiet: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)

    def beat(self) -> None:
        """Tell the instance now and then that this client is alive, until the session is left."""
        while not self.quiet.wait(HEARTBEAT):
            with contextlib.suppress(OSError, ValueError), self.writing:
                self._send(b"alive\n")

    def leave(self, *, fetched: bool) -> Leaving | None:
        """Leave, and learn whether anyone else is there. None where the instance can't be asked.

        `fetched`: all that is there is here, so that the guard may end even what can't be stopped.
        """
        self.quiet.set()
        try:
            with self.writing:
                self._send(b"leave fetched\n" if fetched else b"leave\n")
            words = read_line(self.channel, ANSWER_LIMIT).split()
        except (OSError, ValueError, Failure):
            return None
        if words[:1] == ["last"]:
            return Leaving(last=True, final_state=words[1] if len(words) > 1 else None)
        return Leaving(last=False, final_state=None) if words == ["others"] else None

    def _send(self, line: bytes) -> None:
        assert self.channel.stdin is not None
        self.channel.stdin.write(line)
        self.channel.stdin.flush()


def remote_script(name: str) -> str:
    """The text of a script that runs on the instance."""
    return resources.files("ec2tasks").joinpath("remote", name).read_text(encoding="utf-8")


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
    run_id: str,
    remote_dir: str,
    final_state: str,
    files: Mapping[str, str],
    limits: Limits,
) -> Iterator[Session]:
    """Be present on the instance, once its guard is armed.

    Raises Failure where it does not let this client in.
    """
    argv = remote_argv(host, "session.sh", final_state, run_id, remote_dir, *limits.words)
    channel = tools.start(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    session = Session(channel=channel)
    try:
        with contextlib.suppress(BrokenPipeError):
            session._send(handover(files))
        answer = read_line(channel, ANSWER_LIMIT + GUARD_LIMIT)
        if answer == "joined unguarded":
            report.warning(UNGUARDED, hint="`ec2tasks down` ends it; user data may have failed there")
        elif answer != "joined":
            raise Failure(f"instance {host.instance_id} takes no session: {answer or _last_words(channel)}")
        threading.Thread(target=session.beat, daemon=True).start()
        yield session
    finally:
        session.quiet.set()
        end_quietly(channel, channel.stdin)


def _last_words(channel: subprocess.Popen[bytes]) -> str:
    channel.terminate()
    said = channel.communicate()[1].decode(errors="replace").strip()
    return said.splitlines()[-1] if said else "no answer"


def read_line(channel: subprocess.Popen[bytes], limit: float) -> str:
    """The next line of a process; empty where it ended. Raises Failure after so many seconds."""
    assert channel.stdout is not None
    found = b""
    deadline = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(channel.stdout, selectors.EVENT_READ)
        while not found.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise Failure(f"the instance gave no answer for {limit:.0f} s", hint="check the network")
            byte = channel.stdout.raw.read(1) if hasattr(channel.stdout, "raw") else channel.stdout.read(1)
            if not byte:
                break
            found += byte
    return found.decode(errors="replace").strip()
