"""Runs the local tools (ssh, rsync, ssh-keygen): argument lists in, exit code and output out."""

from __future__ import annotations

import contextlib
import contextvars
import io
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, TypeVar, cast

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import ExceededError, Limits, pump

Value = TypeVar("Value")
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
PACKAGES = {"ssh": "openssh-client", "ssh-keygen": "openssh-client", "rsync": "rsync", "make": "make"}


LIMITS = Limits(seconds=60.0)
EXCEEDED = 124  # as timeout(1) says it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A tool's exit code and output; `exceeded` where it was ended for it took more than it may."""

    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""
    exceeded: ExceededError | None = None

    def within_limits(self) -> Answer:
        """The same. Raises ExceededError where it took more than it may."""
        if self.exceeded:
            raise self.exceeded
        return self


@dataclass(frozen=True, kw_only=True)
class Tools:
    """How local tools are started; with `echo`, each command line is shown first, as Invoke's --echo asks.

    `held`: file descriptors that they inherit, of a lock that must not be free before they have ended.
    """

    echo: bool = False
    held: tuple[int, ...] = ()

    def start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a tool, with Popen's `options`. Raises Failure naming the package where it is missing."""
        if self.echo:
            output.step(f"$ {command_line(argv)}")
        try:
            return subprocess.Popen(argv, pass_fds=self.held, **options)
        except FileNotFoundError as error:
            raise missing_tool(argv[0]) from error

    def capture(self, argv: Sequence[str], *, limits: Limits = LIMITS, stdin: bytes = b"") -> Answer:
        """Run a tool to its end: its exit code and output. Beyond its limits it is ended, with code 124.

        It gets a session of its own, so that a Ctrl-C meant for ec2tasks does not cut it in the middle.
        """
        out, err = io.BytesIO(), io.BytesIO()
        with self.start(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True) as tool:
            try:
                pump(tool, limits, stdin=stdin, on_out=out.write, on_err=err.write)
            except ExceededError as error:
                return Answer(returncode=EXCEEDED, stderr=error.what.encode(errors="replace"), exceeded=error)
        return Answer(returncode=tool.returncode, stdout=out.getvalue(), stderr=err.getvalue())


SSH_OPTIONS_WITH_VALUE = ("-E", "-F", "-L", "-O", "-R", "-i", "-o")  # of those used here
SHOWN_SSH_OPTIONS = ("-L", "-O", "-R")


def command_line(argv: Sequence[str]) -> str:
    """A command in one line, to be shown; of ssh and of our scripts there only what tells them apart."""
    if argv[0] != "ssh":
        words = (shlex.quote(_one_line(word)) for word in argv)
        return " ".join(re.sub(r"^'?--rsh=.*", "'--rsh=ssh …'", word) for word in words)
    at, options = 1, list[str]()
    while at < len(argv) and argv[at].startswith("-"):
        step = 2 if argv[at] in SSH_OPTIONS_WITH_VALUE else 1
        options += argv[at : at + step] if argv[at] in SHOWN_SSH_OPTIONS else []
        at += step
    remote = [word for text in argv[at + 1 :] for word in _words(text)]
    if remote[:2] == ["bash", "-c"]:
        remote = remote[3:]
    words = (shlex.quote(_one_line(word)) for word in remote)
    return " ".join(["ssh …", *options, *argv[at : at + 1], *words])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def _one_line(word: str) -> str:
    return "…" if "\n" in word else word


@contextlib.contextmanager
def ends_with_us(tool: subprocess.Popen[bytes]) -> Iterator[None]:
    """While inside, terminate this tool if this process is killed: nobody would wait for it."""
    # The watcher's input is closed by the kernel when this process dies.
    watch = ["sh", "-c", 'read -r over || kill "$0"', str(tool.pid)]
    with subprocess.Popen(watch, stdin=PIPE, start_new_session=True) as watcher:
        try:
            yield
        finally:
            watcher.communicate(b"\n")


def start_thread(work: Callable[..., None], *args: object) -> threading.Thread:
    """Start this in a daemon thread that names the same instance in its hints as its caller."""
    here = contextvars.copy_context()
    thread = threading.Thread(target=lambda: here.run(work, *args), daemon=True)
    thread.start()
    return thread


def in_background(act: Callable[[], Value], *, patience: float | None = None) -> Callable[[], Value]:
    """Start `act` in a daemon thread; the function returned waits for its answer, or raises its error.

    It may be asked several times. It raises TimeoutError where it has waited for `patience` seconds; None for
    as long as it takes.
    """
    done = threading.Event()
    answers: list[tuple[Value | None, BaseException | None]] = []

    def work() -> None:
        try:
            answers.append((act(), None))
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where the answer is asked for
            answers.append((None, error))
        done.set()

    start_thread(work)

    def answer() -> Value:
        if not done.wait(patience):
            raise TimeoutError
        value, error = answers[0]
        if error:
            raise error
        return cast(Value, value)

    return answer


def exit_code(returncode: int) -> int:
    """The exit code that a shell gives a process: 128 + n where signal n ended it."""
    return returncode if returncode >= 0 else 128 - returncode


def missing_tool(name: str) -> Failure:
    """The failure that names a tool that is not installed here."""
    package = PACKAGES.get(name, name)
    return Failure(
        f"`{name}` is not installed on this machine",
        hint=f"sudo apt-get install -y {package}   (or: brew install {package})",
    )


def check_tools(names: Sequence[str], which: Callable[[str], str | None] = shutil.which) -> None:
    """Raise Failure for the first of these tools that is not installed."""
    for name in names:
        if which(name) is None:
            raise missing_tool(name)


def end_quietly(tool: subprocess.Popen[bytes], stream: IO[bytes] | None) -> None:
    """Close a tool's input and wait 2 seconds for it to end by itself, then send it SIGTERM."""
    if stream:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
    try:
        tool.wait(timeout=2)
    except subprocess.TimeoutExpired:
        tool.send_signal(signal.SIGTERM)
        tool.wait()
    for pipe in (tool.stdout, tool.stderr):
        if pipe:
            pipe.close()
