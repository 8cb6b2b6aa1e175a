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
from collections.abc import Iterator, Sequence
from pathlib import Path

from ec2tasks.sync.gate import NO_NAMES
from ec2tasks.sync.ignore import DRAFT

# Where there is O_PATH, a folder that may be entered but not read will do.
FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_OPEN = 32  # folders


class _Folder:
    """An opened folder, closed once nothing uses it any more."""

    __slots__ = ("descriptor", "identity")

    def __init__(self, name: str | Path, above: int | None, flags: int) -> None:
        self.descriptor = os.open(name, flags, dir_fd=above)
        status = os.fstat(self.descriptor)
        self.identity = status.st_dev, status.st_ino

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be opened
            os.close(self.descriptor)

    def is_still(self, name: str, above: int) -> bool:
        """Whether it stands under this name in the opened folder above."""
        try:
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity


class Below:
    """What stands below a folder, to be changed; use `open_below`.

    The folders used last stay open. Each is used again only where it still stands under its name in the one
    above it.
    """

    def __init__(self, root: Path) -> None:
        self._opened = {"": _Folder(root, None, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}

    def close(self) -> None:
        """Close all that is open."""
        self._opened.clear()

    def _above(self, path: str, *, make: bool = False) -> tuple[_Folder, str]:
        """The opened folder above a path, and its last name; `make` makes the folders that are missing."""
        if not NO_NAMES.isdisjoint(path.split("/")):
            raise OSError(errno.EINVAL, "no path below the project", path)
        folder, _, name = path.rpartition("/")
        return self._open(folder, make=make), name

    def _open(self, path: str, *, make: bool) -> _Folder:
        """The opened folder at a path; "" is the top one."""
        if not path:
            return self._opened[path]
        above_path, _, name = path.rpartition("/")
        if name in NO_NAMES:
            raise OSError(errno.EINVAL, "no path below the project", path)
        above = self._open(above_path, make=make)
        folder = self._opened.pop(path, None)
        if folder is None or not folder.is_still(name, above.descriptor):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=above.descriptor)
            folder = _Folder(name, above.descriptor, FOLDER_FLAGS)
        self._opened[path] = folder  # the last one used
        while len(self._opened) > MOST_OPEN:
            del self._opened[next(path for path in self._opened if path)]
        return folder

    def is_folder(self, path: str) -> bool:
        """Whether a folder stands at a path, with no link on the way; "" is the top one."""
        try:
            self._open(path, make=False)
        except OSError:
            return False
        return True

    def mode_at(self, path: str) -> int | None:
        """What stands at a path and its mode, as `st_mode`; of a link its own. None for nothing."""
        try:
            folder, name = self._above(path)
            return os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link is above it
                return None
            raise

    def rename(self, source: str, target: str) -> None:
        """Give what stands at one path another, in place of what stands there, in one step."""
        above, end = self._above(target, make=True)
        folder, name = self._above(source)
        os.replace(name, end, src_dir_fd=folder.descriptor, dst_dir_fd=above.descriptor)

    def move_new(self, names: Sequence[str], source: str, target: str) -> dict[str, os.stat_result]:
        """Give files in one folder the same names in another, where nothing stands there under them.

        Those that have moved, each as it was; each folder is opened once. What is no file stays, and so do
        all where either folder can't be entered or the two are on two file systems.
        """
        moved = dict[str, os.stat_result]()
        with contextlib.suppress(OSError):
            here, there = self._open(source, make=False).descriptor, self._open(target, make=False).descriptor
            for name in names:
                status = os.stat(name, dir_fd=here, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and not _stands(name, there):
                    os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
                    moved[name] = status
        return moved

    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link in place of what stands there, in one step."""
        folder, name = self._above(path, make=True)
        _remove_draft(folder.descriptor)
        os.symlink(target, DRAFT, dir_fd=folder.descriptor)
        os.replace(DRAFT, name, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)

    def copy(self, source: str, target: str) -> None:
        """Let what stands at one path stand at another too, where nothing does; a hard link if it can be."""
        above, end = self._above(target, make=True)
        folder, name = self._above(source)
        try:
            os.link(
                name, end, src_dir_fd=folder.descriptor, dst_dir_fd=above.descriptor, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            _copy(name, folder.descriptor, end, above.descriptor)

    def move(self, source: str, target: str) -> None:
        """Rename, also from another file system: it has another name until all of it is there."""
        try:
            self.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            above, end = self._above(target, make=True)
            folder, name = self._above(source)
            _remove_draft(above.descriptor)
            _copy(name, folder.descriptor, DRAFT, above.descriptor)
            os.replace(DRAFT, end, src_dir_fd=above.descriptor, dst_dir_fd=above.descriptor)
            os.unlink(name, dir_fd=folder.descriptor)

    def make_folder(self, path: str, mode: int) -> None:
        """Make a folder of this mode, and those above it; one that is there gets the mode."""
        folder, name = self._above(path, make=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder.descriptor)
        self.set_mode(path, mode)

    def set_mode(self, path: str, mode: int) -> None:
        """Give a file or folder this mode. A link is refused."""
        folder, name = self._above(path)
        if stat.S_ISLNK(os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        os.chmod(name, mode, dir_fd=folder.descriptor)

    def set_time(self, path: str, mtime: int) -> None:
        """Give a file this time, in nanoseconds since 1970."""
        folder, name = self._above(path)
        os.utime(name, ns=(mtime, mtime), dir_fd=folder.descriptor, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file or a link."""
        folder, name = self._above(path)
        os.unlink(name, dir_fd=folder.descriptor)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        folder, name = self._above(path)
        os.rmdir(name, dir_fd=folder.descriptor)


def _stands(name: str, folder: int) -> bool:
    """Whether anything stands under a name in an opened folder."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


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
    below = Below(root)
    try:
        yield below
    finally:
        below.close()
