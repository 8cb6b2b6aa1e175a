"""A run to be hit in the middle of a phase: its project, its local EC2, what it says, what it leaves.

A phase is hit at a visible sign of it, never after some time: a line that ec2tasks says, a file that arrives.
The transfers are slow enough for their middle to be hit; what is typed afterwards goes at full speed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import ALIVE, GONE, Instance, list_instances
from ec2tasks.local.layout import Layout
from support.background import Client, hit_at_step_argv, start
from support.environment import clean_environment
from support.local_ec2 import api, faults
from support.project import ScratchProject
from support.waiting import until

SLOW = 1500  # kB/s
# The real rsync, slower: in front of it on the PATH of the run that is to fail.
SLOW_RSYNC = """#!/bin/sh
case "$*" in *--dry-run*) ;; *--copy-dest*|*--backup-dir*) set -- --bwlimit={slow} "$@" ;; esac
exec {rsync} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A local EC2 of its own, so that what goes wrong in one row is felt in no other."""

    folder: Path
    aws: Aws

    def faults(self, **asked: object) -> None:
        """Let these things go wrong from now on; nothing ends all of them."""
        faults(self.folder, **asked)


@contextlib.contextmanager
def open_lane(folder: Path) -> Iterator[Lane]:
    """Start a local EC2 in this folder, and end it."""
    folder.chmod(0o755)
    tool = [sys.executable, "-m", "ec2tasks"]
    environ = {**clean_environment(folder), "EC2_LOCAL_DIR": str(folder)}
    subprocess.run([*tool, "local.up"], env=environ, check=True, capture_output=True, timeout=60)
    try:
        yield Lane(folder=folder, aws=api(folder))
    finally:
        subprocess.run([*tool, "local.down"], env=environ, check=True, capture_output=True, timeout=60)


@dataclass(kw_only=True)
class Play:
    """One row as it is played."""

    lane: Lane
    phase: str
    command: str
    folder: Path
    cut_at: str | None = None  # the client's step at which AWS goes out of reach for it
    mend: Callable[[Play], None] = lambda play: play.lane.faults()
    client: Client | None = None
    project: ScratchProject = field(init=False)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        root = self.folder / "shop"
        for one in (home, root, self.folder / "slow"):
            one.mkdir(parents=True)
        local = {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(self.lane.folder)}
        user = f"user-{secrets.token_hex(4)}"
        self.project = ScratchProject(root=root, environ={**clean_environment(home), **local, "USER": user})
        rsync = self.folder / "slow" / "rsync"
        rsync.write_text(SLOW_RSYNC.format(slow=SLOW, rsync=shutil.which("rsync")))
        rsync.chmod(0o755)

    # What is there

    @property
    def instances(self) -> list[Instance]:
        """All that this row ever launched, oldest first."""
        return list_instances(self.lane.aws, owner=self.project.environ["USER"], states=(*ALIVE, *GONE))

    @property
    def home(self) -> Path:
        """The login user's home on the instance, as a folder of this machine."""
        return Layout(root=self.lane.folder).instances / self.instances[-1].id / "home"

    def state(self) -> str:
        """What has become of the instance, once its state stays; `none` where there never was one."""
        found: list[str] = []

        def settled() -> bool:
            found[:] = [one.state for one in self.instances]
            return not {"stopping", "shutting-down", "pending"} & set(found)

        until(settled, f"a state that stays, {found}")
        return found[-1] if found else "none"

    def left(self) -> dict[str, bytes]:
        """The results that stand on the instance's disk."""
        return contents(self.home / "shop" / "out") if self.instances else {}

    # What is done

    def close(self) -> None:
        """Leave nothing, whatever went wrong."""
        if self.client and not self.client.over():
            self.client.signal(signal.SIGKILL)
        self.lane.faults()
        if left := [one.id for one in self.instances if one.state not in GONE]:
            self.lane.aws.ec2.terminate_instances(InstanceIds=left)
        subprocess.run(["umount", "-q", str(self.project.root)], check=False, capture_output=True)

    def begin(self) -> None:
        """Start the run that is to fail."""
        slow = f"{self.folder / 'slow'}{os.pathsep}{self.project.environ['PATH']}"
        environ = (
            {**self.project.environ, "PATH": slow} if self.phase in ("push", "pull") else self.project.environ
        )
        self.client = start(replace(self.project, environ=environ), *self.argv())

    @property
    def running(self) -> Client:
        """The run that is to fail, once it has begun."""
        assert self.client
        return self.client

    def argv(self) -> list[str]:
        """The run's command line."""
        words = ["run", "--terminate", self.command]
        if self.cut_at:
            return hit_at_step_argv("cut", self.cut_at, *words, log=str(self.folder / "steps"))
        return ["ec2tasks", *words]

    def at_phase(self) -> None:
        """Wait until the run is in the middle of its phase."""
        client = self.running
        signs: dict[str, Callable[[], bool]] = {
            "launch": lambda: client.says("launched"),
            "push": lambda: bool(self.instances) and any_bytes(self.home / "shop/.ec2tasks/incoming"),
            "run": lambda: client.prints("here"),
            "pull": lambda: any_bytes(self.project.root / ".ec2tasks/incoming/out"),
            "end": lambda: self.client_left(),
        }
        sign = signs[self.phase]
        until(lambda: sign() or client.over(), f"the phase {self.phase}")
        assert not client.over(), client.end().err

    def client_left(self) -> bool:
        """Whether the run has left its session, and only the instance's end is still to come."""
        return (self.project.root / "out/last").exists() and not (
            self.home / ".ec2tasks/final_state"
        ).exists()


def any_bytes(folder: Path) -> bool:
    """Whether anything has arrived in there."""
    with contextlib.suppress(OSError):
        return any(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    return False


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()
    }
