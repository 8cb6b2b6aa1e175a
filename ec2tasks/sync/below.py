"""Writes below an opened folder, and through no link on the way: whatever is put in place here goes this way.

Each folder above a path is opened by its own name in the one above it, with O_NOFOLLOW
(https://man7.org/linux/man-pages/man2/open.2.html): what has become a link meanwhile, or leads out by a name
of the instance's, is not written to. Paths are relative to the folder, all errors OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.sync.gate import NO_NAMES
from ec2tasks.sync.ignore import DRAFT

# Where there is O_PATH, a folder that may be entered but not read will do.
FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Below:
    """What stands below a folder, to be changed; use `open_below`."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def _above(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The opened folder above a path, and its last name; `make` makes the folders that are missing."""
        *folders, name = path.split("/")
        if not NO_NAMES.isdisjoint((*folders, name)):
            raise OSError(errno.EINVAL, "no path below the project", path)
        with contextlib.ExitStack() as opened:
            folder = self._folder
            for part in folders:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                folder = os.open(part, FOLDER_FLAGS, dir_fd=folder)
                opened.callback(os.close, folder)
            yield folder, name

    def mode_at(self, path: str) -> int | None:
        """What stands at a path and its mode, as `st_mode`; of a link its own. None for nothing."""
        try:
            with self._above(path) as (folder, name):
                return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link is above it
                return None
            raise

    def rename(self, source: str, target: str) -> None:
        """Give what stands at one path another, in place of what stands there, in one step."""
        with self._above(source) as (folder, name), self._above(target, make=True) as (above, end):
            os.replace(name, end, src_dir_fd=folder, dst_dir_fd=above)

    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link in place of what stands there, in one step."""
        with self._above(path, make=True) as (folder, name):
            _remove_draft(folder)
            os.symlink(target, DRAFT, dir_fd=folder)
            os.replace(DRAFT, name, src_dir_fd=folder, dst_dir_fd=folder)

    def copy(self, source: str, target: str) -> None:
        """Let what stands at one path stand at another too, where nothing does; a hard link if it can be."""
        with self._above(source) as (folder, name), self._above(target, make=True) as (above, end):
            try:
                os.link(name, end, src_dir_fd=folder, dst_dir_fd=above, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
                _copy(name, folder, end, above)

    def move(self, source: str, target: str) -> None:
        """Rename, also from another file system: it has another name until all of it is there."""
        try:
            self.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self._above(source) as (folder, name), self._above(target, make=True) as (above, end):
                _remove_draft(above)
                _copy(name, folder, DRAFT, above)
                os.replace(DRAFT, end, src_dir_fd=above, dst_dir_fd=above)
                os.unlink(name, dir_fd=folder)

    def make_folder(self, path: str, mode: int) -> None:
        """Make a folder of this mode, and those above it; one that is there gets the mode."""
        with self._above(path, make=True) as (folder, name), contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        self.set_mode(path, mode)

    def set_mode(self, path: str, mode: int) -> None:
        """Give a file or folder this mode. A link is refused."""
        with self._above(path) as (folder, name):
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            os.chmod(name, mode, dir_fd=folder)

    def set_time(self, path: str, mtime: int) -> None:
        """Give a file this time, in nanoseconds since 1970."""
        with self._above(path) as (folder, name):
            os.utime(name, ns=(mtime, mtime), dir_fd=folder, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file or a link."""
        with self._above(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        with self._above(path) as (folder, name):
            os.rmdir(name, dir_fd=folder)


def _remove_draft(folder: int) -> None:
    """Remove what a move that was killed has left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(DRAFT, dir_fd=folder)


def _copy(name: str, folder: int, end: str, above: int) -> None:
    """Copy a file or link, its mode and its time; `end` must not be there."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), end, dir_fd=above)
        return
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(source, "rb") as reader:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(end, flags, 0o600, dir_fd=above), "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fchmod(writer.fileno(), stat.S_IMODE(status.st_mode))
            os.utime(writer.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))


@contextlib.contextmanager
def open_below(root: Path) -> Iterator[Below]:
    """Open a folder to change what is below it."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Below(folder)
    finally:
        os.close(folder)
