"""What several tests use: waiting for a sign, a client in the background, faults, values to start from."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from signal import Signals
from typing import IO, Any, TypeVar

from botocore.exceptions import ClientError
from conftest import BACKGROUND, Outcome, Shop, api

from ec2tasks.aws.instances import Instance, list_instances
from ec2tasks.local.layout import Layout
from ec2tasks.remote.job import Job

PATIENCE = 120.0  # seconds after which something that is waited for never comes
Answer = TypeVar("Answer")

# Waiting


def until(question: Callable[[], Answer | None], what: str) -> Answer:
    """The first answer that is true, asked again until it is; fail naming it where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)
    return answer


def free_port() -> int:
    """A port that nobody listens on here now, below those that connections are given by themselves."""
    while True:
        port = random.randint(20000, 30000)  # noqa: S311  # no secret
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


# A client in the background


@dataclass(kw_only=True)
class Client:
    """A command in the background; all that it says is kept as it comes, line by line."""

    process: subprocess.Popen[bytes]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _told: int = 0

    def attend(self, stdin: bytes) -> None:
        """Begin to keep what it says, and to hand it this."""
        assert self.process.stdout
        assert self.process.stderr
        work: list[tuple[Callable[..., None], Any, Any]] = [
            (_keep, self.process.stdout, self.out),
            (_keep, self.process.stderr, self.err),
        ]
        if self.process.stdin:
            work.append((_hand, self.process.stdin, stdin))
        for target, pipe, what in work:
            self._threads.append(threading.Thread(target=target, args=(pipe, what), daemon=True))
            self._threads[-1].start()

    def line(self) -> str:
        """The next line of its output, without its end; fails with what it said where there is none."""

        def come() -> bool:
            return len(self.out) > self._told or self.over()

        until(come, f"a line of output; it said {self.err}")
        if len(self.out) <= self._told:
            self._join()
        assert len(self.out) > self._told, self.err
        self._told += 1
        return self.out[self._told - 1].rstrip("\n")

    def prints(self, line: str) -> bool:
        """Whether this is one of the whole lines of its output so far."""
        return f"{line}\n" in list(self.out)

    def says(self, words: str) -> bool:
        """Whether it has told this."""
        return any(words in line for line in list(self.err))

    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def signal(self, number: Signals) -> None:
        """Send this to the client alone."""
        self.process.send_signal(number)

    def signal_all(self, number: Signals) -> None:
        """Send this to it and all that it started, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> Outcome:
        """Wait for its end: all that it ever said."""
        code = self.process.wait(PATIENCE)
        self._join()
        return Outcome(code=code, out="".join(self.out), err="".join(self.err))

    def _join(self) -> None:
        for one in self._threads:
            one.join(PATIENCE)


def _keep(pipe: IO[bytes], lines: list[str]) -> None:
    with pipe:
        for line in pipe:
            lines.append(line.decode())  # noqa: PERF401  # at once, not at the end


def _hand(pipe: IO[bytes], words: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:  # it ended first
        pipe.write(words)


def start(shop: Shop, *argv: str, stdin: bytes | None = None) -> Client:
    """Run a command in the project, in the background and in a session of its own."""
    process = subprocess.Popen(
        argv,
        cwd=shop.root,
        env=shop.environ,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if threading.current_thread() is threading.main_thread():  # else it is not this test's alone
        BACKGROUND.append(process)
    client = Client(process=process)
    client.attend(stdin or b"")
    return client


# A project's surroundings


def instance(shop: Shop) -> dict[str, Any] | None:
    """The project's instance as `status` tells it."""
    said = shop.ec2tasks("status", "--json")
    assert said.code == 0, said.err
    found: dict[str, Any] | None = json.loads(said.out)
    return found


def until_state(shop: Shop, state: str) -> None:
    """Wait until all instances of this user are in this state."""
    aws, user = api(Path(shop.environ["EC2_LOCAL_DIR"])), shop.environ["USER"]
    until(lambda: {one.state for one in list_instances(aws, owner=user)} == {state}, state)


def faults(place: Shop | Path, **asked: object) -> None:
    """Let these things go wrong on a running local EC2 from now on; nothing ends all of them."""
    folder = Path(place.environ["EC2_LOCAL_DIR"]) if isinstance(place, Shop) else place
    layout = Layout(root=folder)
    draft = layout.faults.with_suffix(".draft")
    draft.write_text(json.dumps(asked))
    draft.replace(layout.faults)
    url = json.loads(layout.server_file.read_text())["url"]
    with urllib.request.urlopen(f"{url}/_ec2/faults", timeout=PATIENCE):  # noqa: S310  # it acts at once
        pass


def other_machine(shop: Shop, folder: Path) -> Shop:
    """Another machine of the same user: the same key, nothing else remembered."""
    home = folder / "other"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for key in (Path(shop.environ["HOME"]) / ".ssh").glob("ec2tasks*"):
        (home / ".ssh" / key.name).write_bytes(key.read_bytes())
        (home / ".ssh" / key.name).chmod(0o600)
    return replace(shop, environ={**shop.environ, "HOME": str(home)})


def make_key(path: Path, passphrase: str = "") -> str:
    """A new private key in this file; its public half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(argv, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


# Values to start from

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
ONE = Instance(
    id="i-1",
    name="kim-shop",
    state="running",
    type="g5.xlarge",
    zone="eu-central-1a",
    address="1.2.3.4",
    user="ubuntu",
    owner="kim",
    project="p1",
    launched=NOON - timedelta(hours=2),
    spot=False,
    price=1.26,
    group_ids=("sg-1",),
    reason="",
    fetched=False,
)
JOB = Job(
    job_id="r",
    command="make train",
    remote_dir="shop",
    below=".",
    env="auto",
    variables={"TOKEN": "it's $5"},
    ports=("8888:localhost:8888",),
    reverse_ports=(),
)


def every_field(kind: type) -> dict[str, Any]:
    """What makes `st.builds` draw all fields: it leaves those with a default at it."""
    return {one.name: ... for one in fields(kind)}


def client_error(code: str, message: str = "said AWS", operation: str = "RunInstances") -> ClientError:
    """An answer of AWS that is an error."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
