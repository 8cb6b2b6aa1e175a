"""Runs the local tools (ssh, rsync, ssh-keygen): argument lists in, exit code and output out."""

from __future__ import annotations

import contextlib
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any, TypeVar, cast

from ec2tasks.base import output
from ec2tasks.base.errors import Failure

Answer = TypeVar("Answer")
PACKAGES = {"ssh": "openssh-client", "ssh-keygen": "openssh-client", "rsync": "rsync", "make": "make"}


@dataclass(frozen=True, kw_only=True)
class Tools:
    """How commands are started here; with `echo`, each is shown first, as Invoke's --echo asks.

    `held`: open files that they inherit, a lock that must not be free before they have ended.
    """

    echo: bool = False
    held: tuple[int, ...] = ()

    def start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a tool. Raises Failure naming the package where it is not installed."""
        if self.echo:
            output.step(f"$ {shown(argv)}")
        try:
            return subprocess.Popen(argv, pass_fds=self.held, **options)
        except FileNotFoundError as error:
            raise missing_tool(argv[0]) from error

    def capture(
        self, argv: Sequence[str], *, timeout: float | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a tool to its end and keep what it says; a timeout (seconds) ends it with code 124.

        It gets a session of its own, so that a Ctrl-C meant for ec2tasks does not cut it in the middle.
        """
        with self.start(
            argv, stdin=subprocess.PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        ) as tool:
            try:
                out, err = tool.communicate(stdin, timeout=timeout)
            except BaseException as error:
                tool.kill()
                out, err = tool.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                return subprocess.CompletedProcess(argv, 124, out, err + b"timed out")
        return subprocess.CompletedProcess(argv, tool.returncode, out, err)


VALUED = ("-E", "-F", "-L", "-O", "-R", "-i", "-o")  # ssh's options with a value, of those used here
TELLING = ("-L", "-O", "-R")


def shown(argv: Sequence[str]) -> str:
    """A command on one line: of ssh what it does and where, of our scripts there the name and arguments."""
    if argv[0] != "ssh":
        return " ".join(re.sub(r"^'?--rsh=.*", "'--rsh=ssh …'", shlex.quote(_flat(one))) for one in argv)
    at, telling = 1, list[str]()
    while at < len(argv) and argv[at].startswith("-"):
        step = 2 if argv[at] in VALUED else 1
        telling += argv[at : at + step] if argv[at] in TELLING else []
        at += step
    there = [word for text in argv[at + 1 :] for word in _words(text)]
    if there[:2] == ["bash", "-c"]:
        there = there[3:]
    return " ".join(["ssh …", *telling, *argv[at : at + 1], *(shlex.quote(_flat(one)) for one in there)])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def _flat(word: str) -> str:
    return "…" if "\n" in word else word


@contextlib.contextmanager
def ends_with_us(tool: subprocess.Popen[bytes]) -> Iterator[None]:
    """While inside, end this tool too where we are killed: it would go on with what nobody waits for."""
    watch = ["sh", "-c", 'read -r over || kill "$0"', str(tool.pid)]  # what we hold is closed when we die
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watcher:
        try:
            yield
        finally:
            watcher.communicate(b"\n")


INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def handled(numbers: Sequence[signal.Signals], act: Callable[[], None]) -> Iterator[None]:
    """While inside, do this at each of these signals; then they do again what they did. Main thread alone."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        act()

    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let a Ctrl-C wait until this is done, then act on it: for what must not be lost half way."""
    pressed: list[None] = []
    with handled(INTERRUPTS, lambda: pressed.append(None)):
        yield
    if pressed:
        raise KeyboardInterrupt


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """Let no Ctrl-C in between: for what must not be left half done."""
    return handled(INTERRUPTS, lambda: None)


def in_background(act: Callable[[], Answer]) -> Callable[[], Answer]:
    """Do this in a daemon thread. What comes out, when called, waits for the answer or raises the error."""
    answers: queue.Queue[tuple[Answer | None, BaseException | None]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((act(), None))
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where the answer is asked for
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()

    def answer() -> Answer:
        found, error = answers.get()
        if error:
            raise error
        return cast(Answer, found)

    return answer


PIPE = subprocess.PIPE


def exit_code(returncode: int) -> int:
    """A process's end as a shell says it: 128 + n for signal n."""
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
    """Close a tool's input and give it a moment to end by itself before it is told to."""
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
