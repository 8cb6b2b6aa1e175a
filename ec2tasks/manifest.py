"""What the project here and an instance last agreed on, kept in .ec2tasks/, and the lock on it.

One file an instance. It says what was so, never what is planned: after a crash at any moment it is at worst
older than the files, and what both sides show alike is then settled again without moving anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ec2tasks import report
from ec2tasks.errors import Failure
from ec2tasks.tree import Base

OWN_FOLDER = ".ec2tasks"
VERSION = 1
KEPT = 20  # instances whose manifest is kept
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


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold this project's sync; the kernel frees it when its owner dies."""
    with (prepare(root) / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            deadline = time.monotonic() + PATIENCE
            while not _take(file.fileno(), deadline):
                time.sleep(0.05)
        yield


def _take(file: int, deadline: float) -> bool:
    if time.monotonic() >= deadline:
        report.step("another sync of this project is under way: waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def clock(root: Path) -> int:
    """The time by the project's own file system, in nanoseconds: what is changed from now on is not older."""
    lock = root / OWN_FOLDER / "lock"
    lock.touch()
    return lock.stat().st_mtime_ns


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of one instance. `filters` stands for what is ignored.

    `complete`: every path that both sides have is in it, as far as it was settled here. It is not where
    nothing is kept, where a transfer was broken off, and where other paths are ignored than then.
    """

    path: Path
    filters: str
    complete: bool

    @property
    def moving(self) -> Path:
        """Stands while files are moving, and after a transfer that was broken off."""
        return self.path.with_suffix(".moving")

    def mark_moving(self) -> None:
        """Say that what is kept may fall behind the files from now on. Raises Failure."""
        with _writing(self.path):
            self.path.parent.mkdir(exist_ok=True)
            self.moving.touch()

    def load(self) -> Base:
        """What was last agreed on; nothing where that is not known any more."""
        try:
            _, _, paths = self.path.read_bytes().partition(b"\n")
            return Base(dict(json.loads(paths)))
        except FileNotFoundError:
            return Base()
        except (OSError, ValueError, TypeError):
            report.warning(f"`{self.path}` can't be read: both sides are compared by content instead")
            return Base()

    def save(self, base: Base, *, whole: bool) -> None:
        """Keep what is agreed on; what was kept before stays until this is there. Raises Failure.

        `whole`: nothing that moved is missing from it.
        """
        draft = self.path.with_suffix(f".{os.getpid()}")
        header = json.dumps({"version": VERSION, "filters": self.filters})
        with _writing(self.path):
            self.path.parent.mkdir(exist_ok=True)
            try:
                with draft.open("w", encoding="ascii") as file:
                    file.write(header + "\n" + json.dumps(base.raw, separators=(",", ":")))
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
            if whole:
                self.moving.unlink(missing_ok=True)
            prune(self.path.parent)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failure(
            f"`{path}` can't be written: {error.strerror}",
            hint="free some space; the files that moved are in place, the next sync goes on from there",
        ) from error


def find(root: Path, instance_id: str, filters: Sequence[str]) -> Kept:
    """What is kept of an instance, for a sync that ignores what these options of rsync say."""
    path = root / OWN_FOLDER / "synced" / f"{instance_id}.json"
    ignore_file = next((one.partition("=")[2] for one in filters if one.startswith("--exclude-from=")), None)
    text = Path(ignore_file).read_bytes() if ignore_file else b""
    digest = hashlib.sha256("\0".join(filters).encode("utf-8", "surrogateescape") + text).hexdigest()[:16]
    kept = Kept(path=path, filters=digest, complete=False)
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
        known = header == {"version": VERSION, "filters": digest}
    except (OSError, ValueError):
        known = False
    return replace(kept, complete=known and not kept.moving.exists())


def prune(folder: Path) -> None:
    """Keep the manifests used last only: most instances are gone for good."""
    kept = sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime)
    for old in kept[:-KEPT]:
        old.unlink(missing_ok=True)
