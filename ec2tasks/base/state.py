"""What ec2tasks keeps on this machine: pinned host keys, locks, sockets, and where an instance was last seen.

Nothing here decides anything: AWS says whether an instance lives, its host key proves which one it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.retry import ticks
from ec2tasks.base.writable import STATE_HINT, check_folder, writing

# A socket's path must stay under 104 bytes on macOS: beside the folder it holds a slash, %C (40), seven of
# the instance's id, and 17 that ssh adds while it makes one.
SOCKET_FOLDER_LIMIT = 103 - 1 - 40 - 7 - 17
FOLDERS = ("keys", "launches", "locks", "s", "seen", "shown", "trust")


@dataclass(frozen=True, kw_only=True)
class State:
    """The folder of ec2tasks on this machine, and the short one for its sockets."""

    folder: Path
    sockets: Path

    @property
    def known_hosts(self) -> Path:
        """The pinned host keys, by instance id."""
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """What ~/.ssh/config includes of ec2tasks; it is there once the user has asked for it."""
        return self.folder / "ssh_config"


def open_state(environ: Mapping[str, str] = os.environ) -> State:
    """Make the state folders where they are missing. Raises Failure where that can't be done."""
    home = Path(environ.get("HOME") or Path.home())
    folder = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "ec2tasks"
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return State(folder=folder, sockets=_socket_folder(folder, environ))


def check_state(state: State) -> None:
    """Raise Failure where what this machine is to remember of an instance can't be kept here."""
    check_folder(state.folder, folders=FOLDERS, files=(state.known_hosts.name,), hint=STATE_HINT)
    check_folder(state.sockets, hint="set XDG_RUNTIME_DIR to a folder of yours")


def _socket_folder(folder: Path, environ: Mapping[str, str]) -> Path:
    """A folder for sockets, of this user's alone and short enough in its path.

    Raises Failure where another user made it, or may enter it.
    """
    short = hashlib.sha256(os.fspath(folder).encode()).hexdigest()[:8]
    own = f"ec2tasks-{os.getuid()}-{short}"
    last = "/tmp"  # noqa: S108  # made and checked below
    places = (
        (environ.get("XDG_RUNTIME_DIR"), "ec2tasks"),
        (os.fspath(folder), "s"),
        (environ.get("TMPDIR"), own),
        (last, own),
    )
    candidates = [Path(place) / name for place, name in places if place and os.access(place, os.W_OK)]
    fitting = (folder for folder in candidates if len(os.fspath(folder)) <= SOCKET_FOLDER_LIMIT)
    chosen = next(fitting, Path(last) / own)
    with writing(chosen, hint="set XDG_RUNTIME_DIR to a folder of yours"):
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = chosen.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Failure(f"`{chosen}` is not a folder of yours alone", hint=f"remove it: rm -r {chosen}")
    return chosen


@contextlib.contextmanager
def lock(state: State, name: str, *, shared: bool = False, patience: float | None = None) -> Iterator[bool]:
    """Hold a lock of this machine; the kernel frees it when its owner dies.

    Yields whether it is held: without `patience` (seconds) it always is, however long that takes.
    """
    folder = state.folder / "locks"
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with writing(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        opened = (folder / digest(name)).open("w")
    with opened as file:
        if patience is None:
            fcntl.flock(file, kind)
            yield True
        else:
            yield flock_within(file.fileno(), kind, patience)


def flock_within(file: int, kind: int, patience: float) -> bool:
    """Try for `patience` seconds to take a flock(2) of that kind on a file descriptor; whether it is held."""
    for _ in ticks(every=0.05, limit=patience):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
    return False


def digest(*parts: str) -> str:
    """A hash of these words that is short enough for a file name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def read_cached(state: State, key: str) -> dict[str, object] | None:
    """What `write_cached` has kept under this key, or None: a hint, for AWS and the host key to confirm."""
    try:
        content = json.loads((state.folder / "seen" / key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_cached(state: State, key: str, values: Mapping[str, object]) -> None:
    """Keep what is known of an instance, by which the next call may find it without asking AWS.

    Where it can't be kept, the next call asks.
    """
    with contextlib.suppress(Failure):
        write_atomically(state.folder / "seen" / key, json.dumps(values))


def drop_cached(state: State, key: str) -> None:
    """Forget what `write_cached` has kept under this key."""
    with contextlib.suppress(OSError):
        (state.folder / "seen" / key).unlink()


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file in one piece, for this user alone; with `durable`, it then survives a power cut.

    Raises Failure where it can't be written; what stood there is as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with draft.open("w", encoding="utf-8") as file:
                draft.chmod(0o600)
                file.write(text)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        if durable:
            # The name is the folder's to keep, and survives a power cut only once that is on the disk too.
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
