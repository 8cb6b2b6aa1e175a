"""The folder `.ec2tasks/` in a project: its identity, and the lock that lets one sync run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import flock_within
from ec2tasks.base.writable import check_folder, probe, writing

OWN_FOLDER = ".ec2tasks"
FOLDERS = ("logs", "replaced", "runs", "sweeps", "synced")
SUDO = "it may be root's after a run with sudo: take it back with chown"
PATIENCE = 2.0  # seconds of waiting for another sync of this project until that is said


def refuse_links(root: Path) -> None:
    """Raise Failure for a link in the place of `.ec2tasks/`, of a file or folder in it, or of a baseline.

    A cloned repository can hold one, and what is kept there would be written where that leads.
    """
    folder = root / OWN_FOLDER
    places = [folder]
    for inner in () if folder.is_symlink() else (folder, *(folder / name for name in FOLDERS)):
        if not inner.is_symlink():
            with contextlib.suppress(OSError):
                places += inner.iterdir()
    for own in places:
        if own.is_symlink():
            raise Failure(
                f"`{own}` is a link: ec2tasks keeps its files in a folder", hint=f"rm {shlex.quote(str(own))}"
            )


def check_writable(root: Path) -> None:
    """Raise Failure where what comes back, or what a sync remembers, can't be written into the project."""
    hint = "check the folder's rights and the disk; --no-rsync runs without its files"
    own = root / OWN_FOLDER
    refuse_links(root)
    with writing(root, hint=hint):
        probe(root)
    if os.path.lexists(own):
        check_folder(own, folders=FOLDERS, files=("lock", "project"), hint=f"{hint}; {SUDO}")


def make_own_folder(root: Path) -> Path:
    """Make `.ec2tasks/` in the project where it is missing, unseen by git; its path. Raises Failure."""
    folder = root / OWN_FOLDER
    refuse_links(root)
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"`{folder}` can't be written: {error.strerror}", hint="check the folder's rights and the disk"
        ) from error
    return folder


def stored_identity(root: Path) -> str:
    """The identity stored in this project; empty for none, and in a copy of its folder."""
    folder = root / OWN_FOLDER
    if (folder / "project").is_symlink():
        return ""  # made by nobody here
    try:
        identity, _, inode = (folder / "project").read_text(encoding="utf-8").strip().partition(" ")
        return identity if inode == str(folder.stat().st_ino) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def store_identity(root: Path, identity: str) -> None:
    """Store the project's identity: its folder may be moved, the machine renamed, git come later."""
    with contextlib.suppress(OSError, Failure):
        folder = make_own_folder(root)
        (folder / "project").write_text(f"{identity} {folder.stat().st_ino}\n", encoding="utf-8")


@contextlib.contextmanager
def sync_lock(root: Path) -> Iterator[int]:
    """Hold the lock that lets one sync of this project run at a time; its file descriptor.

    The kernel frees it when its owner has died, and whoever has inherited it. Raises Failure.
    """
    try:
        lock = (make_own_folder(root) / "lock").open("w")
    except OSError as error:
        raise Failure(
            f"`{root / OWN_FOLDER / 'lock'}` can't be written: {error.strerror}",
            hint=SUDO,
        ) from error
    with lock as file:
        if not flock_within(file.fileno(), fcntl.LOCK_EX, PATIENCE):
            output.step("another sync of this project is under way: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def file_system_time(root: Path) -> int:
    """The time by the project's own file system, in nanoseconds: what is changed from now on is not older."""
    lock = root / OWN_FOLDER / "lock"
    lock.touch()
    return lock.stat().st_mtime_ns
