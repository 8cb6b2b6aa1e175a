"""Tells before anything costs money whether this machine's folders can be written, and names what can't."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ec2tasks.base.errors import Failure

ROOM = 16 * 1024  # bytes: what one call writes into a folder of its own, by far
FULL = (errno.ENOSPC, errno.EDQUOT)
# What becomes of a write where the user's folders are to blame, and no mistake of ours.
REFUSALS = (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
STATE_HINT = "set XDG_STATE_HOME to a folder that you can write"


def unwritable_error(error: OSError, path: Path | str, *, hint: str) -> Failure:
    """The failure that a path can't be written, why, and what to type."""
    space = f"free some space: `df -h {path}` shows how much there is; or " if error.errno in FULL else ""
    return Failure(f"`{path}` can't be written: {error.strerror or error}", hint=f"{space}{hint}")


def explain_refusal(error: Exception) -> Failure | None:
    """A write that this machine refused as a Failure; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    path = error.filename or ("this machine's disk" if error.errno in FULL else None)
    if path is None:
        return None
    return unwritable_error(error, os.fsdecode(path), hint="check the folder's rights and the disk")


@contextlib.contextmanager
def writing(path: Path, *, hint: str = STATE_HINT) -> Iterator[None]:
    """Raise Failure naming the path where what is inside can't write it."""
    try:
        yield
    except OSError as error:
        raise unwritable_error(error, error.filename or path, hint=hint) from error


def check_folder(folder: Path, *, folders: Sequence[str] = (), files: Sequence[str] = (), hint: str) -> None:
    """Raise Failure where what ec2tasks keeps in a folder of its own can't be written.

    `folders`, with the files in them, and `files` are what it keeps; what is missing can be made. Nothing is
    left behind.
    """
    with writing(folder, hint=hint):
        probe(folder)
        for inner in (folder / name for name in folders if os.path.lexists(folder / name)):
            probe(inner)
            for entry in os.scandir(inner):
                if entry.is_file(follow_symlinks=False) and not os.access(entry, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), entry.path)
        for file in (folder / name for name in files if os.path.lexists(folder / name)):
            file.open("ab").close()


def probe(folder: Path) -> None:
    """Write a file without a name into a folder; raises OSError where that is refused, or no room is left."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or errno.EIO), str(folder)) from error
