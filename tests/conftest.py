"""What every test stands on: a home of its own, no way to AWS, a scratch project, the local EC2."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import list_instances
from ec2tasks.local import control
from ec2tasks.local.layout import Layout

REPO = Path(__file__).parent.parent
OURS = (
    *("AWS_", "EC2_", "INVOKE_", "CONDA", "MAKE", "MFLAGS", "TRIGRAM"),
    *("MULTIPLEX", "SSH_AUTH_SOCK", "XDG_", "NO_COLOR"),
)


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a user who has just logged in: nothing of the machine's that ec2tasks would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "HOME": str(home), "USER": "tester", "PATH": tools, "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home of the test's own, and none of the machine's settings."""
    home = tmp_path / "home"
    home.mkdir()
    wanted = clean_environment(home)
    for name in set(os.environ) - set(wanted):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    return wanted


BACKGROUND: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """What a test that failed left in the background does not trouble the next one."""
    yield
    while BACKGROUND:
        process = BACKGROUND.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


class CalledTheInternetError(AssertionError):
    """A test tried to reach a machine other than this one."""


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this process reach this machine alone."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        host = str(address[0]) if isinstance(address, tuple) else ""
        outside = not host.startswith(("127.", "::1", "localhost"))
        if self.family in (socket.AF_INET, socket.AF_INET6) and outside:
            raise CalledTheInternetError(f"connect to {address}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(kw_only=True)
class Shop:
    """A scratch project, and the commands run in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        """The text of a file of the project."""
        return (self.root / name).read_text(encoding="utf-8")

    def call(
        self, *argv: str, stdin: str = "", cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command in the project, its three streams as pipes."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.root,
            env={**self.environ, **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)

    def ec2tasks(self, *words: str, **options: str) -> Outcome:
        """Run `ec2tasks WORDS` in the project."""
        return self.call("ec2tasks", *words, environ=options)


class Terminal:
    """A real terminal of 100 columns and 30 lines in the warm project."""

    def __init__(self, shop: Shop) -> None:
        self.name = f"t{secrets.token_hex(4)}"
        self.tmux = ["tmux", "-L", self.name, "-f", "/dev/null"]
        size = ["-x", "100", "-y", "30"]
        environ = [word for name, value in shop.environ.items() for word in ("-e", f"{name}={value}")]
        subprocess.run(
            [*self.tmux, "new-session", "-d", *size, *environ, "-c", str(shop.root), "bash --norc"],
            check=True,
        )
        self.type("PS1='$ '")

    def type(self, text: str) -> None:
        subprocess.run([*self.tmux, "send-keys", "-l", text], check=True)
        self.key("Enter")

    def key(self, name: str) -> None:
        subprocess.run([*self.tmux, "send-keys", name], check=True)

    def screen(self) -> str:
        argv = [*self.tmux, "capture-pane", "-p", "-J", "-S", "-500"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def resize(self, columns: int, lines: int) -> None:
        size = ["-x", str(columns), "-y", str(lines)]
        subprocess.run([*self.tmux, "resize-window", *size], check=True)

    def clear(self) -> None:
        """Forget what was shown, so that what is waited for is new."""
        subprocess.run([*self.tmux, "send-keys", "-R", ";", "clear-history"], check=True)

    def wait_for(self, form: str) -> str:
        deadline = time.monotonic() + 100
        while not re.search(form, self.screen(), re.MULTILINE):
            assert time.monotonic() < deadline, f"no {form!r} in:\n{self.screen()}"
            time.sleep(0.1)
        return self.screen()

    def end(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], check=False)


@pytest.fixture
def shop(tmp_path: Path, environment: dict[str, str]) -> Shop:
    """A scratch project that knows no endpoint."""
    root = tmp_path / "shop"
    root.mkdir()
    return Shop(root=root, environ=dict(environment))


@pytest.fixture(scope="session")
def local_folder() -> Iterator[Path]:
    """The folder of the tests' own local EC2, ended with them."""
    folder = Path(tempfile.mkdtemp(prefix="ec2t-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    environ = {**clean_environment(folder), "EC2_LOCAL_DIR": str(folder)}
    subprocess.run([sys.executable, "-m", "ec2tasks", "local.down"], env=environ, check=True, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


def api(folder: Path) -> Aws:
    """The API of the running local EC2 with this folder."""
    said = json.loads(Layout(root=folder).server_file.read_text(encoding="utf-8"))
    return Aws(endpoint=control.endpoint(said["url"], said["ssh_port"]), region="eu-central-1")


@pytest.fixture
def local_shop(shop: Shop, local_folder: Path) -> Iterator[Shop]:
    """A scratch project of a new user on the local EC2; what it launched ends with it, quickly."""
    user = f"user-{secrets.token_hex(4)}"
    shop.environ |= {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(local_folder), "USER": user}
    yield shop
    layout = Layout(root=local_folder)
    if layout.faults.exists():
        shop.ec2tasks("local.faults", "--clear")
        layout.faults.unlink()
    if layout.server_file.exists():
        aws = api(local_folder)
        if left := [one.id for one in list_instances(aws, owner=user)]:
            aws.ec2.terminate_instances(InstanceIds=left)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, local_folder: Path) -> Shop:
    """A project whose instance is up, for tests that leave it so."""
    base = tmp_path_factory.mktemp("user")
    root = base / "warm"
    root.mkdir()
    local = {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(local_folder), "AWS_FINAL_STATE": "leave", "USER": "warm"}
    found = Shop(root=root, environ={**clean_environment(base), **local})
    up = found.ec2tasks("up")
    assert up.code == 0, up.err
    return found


@pytest.fixture(scope="session")
def aws(local_folder: Path) -> Aws:
    """The API of the tests' local EC2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(local_folder))
        return Aws(endpoint=control.up(), region="eu-central-1")


@pytest.fixture
def terminal(warm: Shop) -> Iterator[Terminal]:
    found = Terminal(warm)
    yield found
    found.end()
