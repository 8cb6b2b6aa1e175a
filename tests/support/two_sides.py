"""A project on two sides of this machine: real rsync and scripts, with no SSH and no instance between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync import pull
from ec2tasks.sync.engine import SyncOptions, differences, sync_files
from ec2tasks.sync.pull import LivePull
from ec2tasks.sync.reconcile import Change
from support.instance_scripts import in_home

OWN = ".ec2tasks"


class Sides:
    """The folders `local` and `remote`, and the syncs between them. `shell` is what rsync takes for ssh."""

    def __init__(self, folder: Path, instance_id: str = "i-0") -> None:
        self.local, self.home = folder / "here", folder / "home"
        self.remote = self.home / "project"
        self.instance_id = instance_id
        for side in (self.local, self.remote):
            side.mkdir(parents=True, exist_ok=True)
        self.shell = folder / "shell"
        self.use_shell('exec sh -c "$*"')
        self.job_id = ""

    def use_shell(self, last_line: str) -> None:
        """What happens where ssh would run rsync's other half: its words are the arguments."""
        self.shell.write_text(f"#!/bin/bash\nshift\nexport HOME='{self.home}'\ncd\n{last_line}\n")
        self.shell.chmod(0o755)

    def way(self) -> RemoteFolder:
        """The remote folder, as a session would tell it."""
        names = [path.name for path in self.remote.iterdir()] if self.remote.is_dir() else []
        (self.remote / OWN / "incoming").mkdir(parents=True, exist_ok=True)
        return RemoteFolder(
            instance_id=self.instance_id,
            login="there",
            shell=str(self.shell),
            remotely=lambda argv: in_home(self.home, argv),
            folder="project",
            home=str(self.home),
            empty=not set(names) - {OWN},
        )

    def sync(
        self, *, push: bool = True, pull: bool = True, verbose: bool = False, live: LivePull | None = None
    ) -> str:
        """One sync, for a job of its own; the job's id."""
        self.job_id = new_job_id()
        options = SyncOptions(push=push, pull=pull, verbose=verbose, live=live)
        sync_files(self.local, self.way(), self.job_id, Tools(), options)
        return self.job_id

    def differences(self) -> list[Change]:
        """The changes that a sync would make."""
        return differences(self.local, self.way(), Tools())

    def clone(self, folder: Path) -> Sides:
        """Another machine with the same instance: the same local files, and no baseline."""
        other = Sides(folder, self.instance_id)
        shutil.rmtree(other.local)
        shutil.copytree(self.local, other.local, symlinks=True, ignore=shutil.ignore_patterns(OWN))
        shutil.rmtree(other.home)
        other.home, other.remote = self.home, self.remote
        other.use_shell('exec sh -c "$*"')
        return other


def snapshot(root: Path) -> dict[str, str]:
    """What stands in a tree, but for our own folder: each path's kind and content."""
    return {
        path: described(root / path) for path in _walk(root) if path != OWN and not path.startswith(f"{OWN}/")
    }


def described(path: Path) -> str:
    """A path's kind, and its content or target."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    return "folder" if path.is_dir() else f"file {path.read_bytes().decode(errors='surrogateescape')}"


def contents(root: Path) -> set[str]:
    """Every file's content and link's target anywhere in a tree, also what was replaced in it."""
    own = tuple(f"{OWN}/{one}" for one in ("synced", "incoming", "lock", "said", "clock", ".gitignore"))
    return {described(root / path) for path in _walk(root) if not path.startswith(own)} - {"folder"}


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield str((Path(folder) / name).relative_to(root))


def put(path: Path, what: str) -> None:
    """Make `path` that: `file TEXT`, `link TARGET`, `folder` (with a file inside), or `` for nothing."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    kind, _, text = what.partition(" ")
    if kind == "file":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    elif kind == "link":
        path.symlink_to(text)
    elif kind == "folder":
        path.mkdir(parents=True)
        (path / "inner").write_text(text)


def everything(sides: Sides) -> set[str]:
    """Every file's content and link's target on both sides."""
    return contents(sides.local) | contents(sides.remote)


def do(sides: Sides, side: str, name: str, kind: str, token: str) -> None:
    """Make a path on one side that kind of thing, of that content; `gone` for nothing."""
    root = sides.local if side == "here" else sides.remote
    path = root / name
    for above in [root.joinpath(*path.relative_to(root).parts[:n]) for n in range(1, name.count("/") + 1)]:
        if above.is_symlink() or above.is_file():
            above.unlink()
    if kind == "gone":
        put(path, "")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, f"{kind} {token}")


def pull_failure(sides: Sides, live: LivePull | None = None) -> str:
    """Pull; the message where that fails."""
    try:
        sides.sync(push=False, live=live)
    except Failure as failure:
        return failure.what
    return ""


def between_looks(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do this while a pull beside a running command waits to see what stands still."""
    monkeypatch.setattr(pull, "time", SimpleNamespace(sleep=lambda _seconds: act()))
