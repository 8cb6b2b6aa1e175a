"""The project's folder of ec2tasks' own, `.ec2tasks/`, and the lock in it that holds the project's sync."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import flock_within

OWN_FOLDER = ".ec2tasks"
PATIENCE = 2.0  # seconds until waiting for another sync of this project is said


def prepare(root: Path) -> Path:
    """The project's own folder of ec2tasks, made where it is missing, which git does not see."""
    folder = root / OWN_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"`{folder}` can't be written: {error.strerror}", hint="check the folder's rights and the disk"
        ) from error
    return folder


def known_as(root: Path) -> str:
    """The identity that was kept of this project; empty for none, and in a copy of its folder."""
    folder = root / OWN_FOLDER
    try:
        identity, _, place = (folder / "project").read_text(encoding="utf-8").strip().partition(" ")
        return identity if place == str(folder.stat().st_ino) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def know_as(root: Path, identity: str) -> None:
    """Keep the project's identity: its folder may be moved, the machine renamed, git come later."""
    with contextlib.suppress(OSError, Failure):
        folder = prepare(root)
        (folder / "project").write_text(f"{identity} {folder.stat().st_ino}\n", encoding="utf-8")


@contextlib.contextmanager
def locked(root: Path) -> Iterator[int]:
    """Hold this project's sync, by the open file that comes out.

    The kernel frees it when its owner dies, and whoever has inherited it.
    """
    try:
        lock = (prepare(root) / "lock").open("w")
    except OSError as error:
        raise Failure(
            f"`{root / OWN_FOLDER / 'lock'}` can't be written: {error.strerror}",
            hint="it may be root's after a run with sudo: take it back with chown",
        ) from error
    with lock as file:
        if not flock_within(file.fileno(), fcntl.LOCK_EX, PATIENCE):
            output.step("another sync of this project is under way: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def clock(root: Path) -> int:
    """The time by the project's own file system, in nanoseconds: what is changed from now on is not older."""
    lock = root / OWN_FOLDER / "lock"
    lock.touch()
    return lock.stat().st_mtime_ns
