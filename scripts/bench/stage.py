"""The project, its instance of the local EC2, and the plain commands that a script would use in its place."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FILES, SIZE = 200, 5_000
PORT = 22022


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A project of 200 files of 5 kB whose instance runs; `plain` and `kept`: push, run, pull over plain ssh.

    `kept` goes over one control connection, `plain` over three; `ssh` and `ssh_kept` are their logins.
    """

    root: Path
    environ: dict[str, str]
    ssh: list[str]
    ssh_kept: list[str]
    plain: list[list[str]]
    kept: list[list[str]]

    def run(self, argv: Sequence[str], environ: dict[str, str] | None = None) -> str:
        """Run a command in the project; its stdout."""
        return quietly(argv, self.root, environ or self.environ)

    def all_of(self, commands: Sequence[Sequence[str]]) -> None:
        """Run these commands, one after the other."""
        for argv in commands:
            self.run(argv)

    @contextlib.contextmanager
    def latency(self, milliseconds: int) -> Iterator[None]:
        """While inside, a round trip to the instance takes so long."""
        self.run(["ec2tasks", "local.faults", "--set", f"latency_ms: {milliseconds}"])
        try:
            yield
        finally:
            self.run(["ec2tasks", "local.faults", "--clear"])


def environment(home: Path) -> dict[str, str]:
    """A user on the local EC2, with a home of the benchmark's own."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "HOME": str(home),
        "USER": "bench",
        "EC2_LOCAL": "1",
        "EC2_LOCAL_DIR": str(home / "l"),
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def quietly(argv: Sequence[str], root: Path, environ: dict[str, str]) -> str:
    """Run a command; its stdout. Its stderr is shown where it fails."""
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(argv)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def make_project(root: Path) -> None:
    """200 files of 5 kB."""
    for number in range(FILES):
        path = root / f"part{number % 10}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SIZE // 2).hex().encode())
    (root / "Makefile").write_text("x:\n\t@true\n\ninclude Makefile.inc\n")


def logins(home: Path, there: str) -> tuple[list[str], list[str]]:
    """An ssh with a connection of its own, and one over a control connection that is kept."""
    given = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": f"{home}/plain_hosts",
        "LogLevel": "ERROR",
    }
    kept = {"ControlMaster": "auto", "ControlPath": f"{home}/cm", "ControlPersist": "600"}

    def argv(options: dict[str, str]) -> list[str]:
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-i", f"{home}/.ssh/ec2tasks", "-p", str(PORT), *words, there]

    return argv(given), argv({**given, **kept})


def three(root: Path, ssh: list[str]) -> list[list[str]]:
    """What a shell script would do at best over this ssh: push, run, pull."""
    *login, there = ssh
    rsync = ["rsync", "-a", "--no-owner", "--no-group", "--exclude=.ec2tasks", "-e", shlex.join(login)]
    return [
        [*rsync, f"{root}/", f"{there}:{root.name}/"],
        [*ssh, f"cd {root.name} && true"],
        [*rsync, f"{there}:{root.name}/", f"{root}/"],
    ]


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Launch the instance and warm everything; end all of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="ec2b", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        root, environ = home / "shop", environment(home)
        make_project(root)
        (root / "Makefile.inc").write_text(quietly(["ec2tasks", "makefile"], home, environ))
        try:
            quietly(["ec2tasks", "run", "--leave", "true"], root, environ)
            there = json.loads(quietly(["ec2tasks", "status", "--json"], root, environ))
            ssh, ssh_kept = logins(home, f"{there['user']}@{there['address']}")
            ready = Stage(
                root=root,
                environ=environ,
                ssh=ssh,
                ssh_kept=ssh_kept,
                plain=three(root, ssh),
                kept=three(root, ssh_kept),
            )
            ready.all_of([*ready.plain, *ready.kept])
            ready.run(["ec2tasks", "run", "--leave", "true"])
            yield ready
        finally:
            subprocess.run(["ec2tasks", "local.down"], cwd=home, env=environ, capture_output=True)
            hang_up = ["ssh", "-o", f"ControlPath={home}/cm", "-O", "exit", "bench"]
            subprocess.run(hang_up, capture_output=True)
