"""Where the local EC2 keeps its state on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.base.errors import Failure
from ec2tasks.base.state import digest

# What a signed request names; its secret is the server's.
ACCESS_KEY = "ec2-local"
ELSEWHERE = "EC2_LOCAL_DIR=/var/tmp/ec2-local, or any folder that is new"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The files of one local EC2. Everything but the cache ends with the server."""

    root: Path

    @property
    def start_lock(self) -> Path:
        """Held by whoever is starting or ending the server, so that two don't at once."""
        return self.root / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server for its life; holds its pid."""
        return self.root / "server.lock"

    @property
    def server_file(self) -> Path:
        """What the server says of itself once it answers: pid, URL, SSH port, secret key."""
        return self.root / "server.json"

    @property
    def log(self) -> Path:
        """The server's output."""
        return self.root / "server.log"

    @property
    def faults(self) -> Path:
        """The faults that are set."""
        return self.root / "faults.json"

    @property
    def guest(self) -> Path:
        """The copy of the guest's programs that instances can read, wherever ec2tasks is installed."""
        return self.root / "guest"

    @property
    def instances(self) -> Path:
        """One folder an instance: its disk, console and keys."""
        return self.root / "instances"

    def caches(self, family: str) -> Path:
        """What all instances of one family of images share: downloads, `pytorch`; outlives the server."""
        return self.root / "cache" / family


def state_folder(environ: Mapping[str, str], uid: int) -> Path:
    """EC2_LOCAL_DIR, else a folder of this home's own: in it, or for root one that is named after it.

    As root the instances run as another user, who can't reach into root's home.
    """
    if chosen := environ.get("EC2_LOCAL_DIR"):
        return Path(chosen).expanduser().absolute()
    home = Path(environ.get("HOME") or "~").expanduser()
    state = environ.get("XDG_STATE_HOME") or f"{home}/.local/state"
    if uid == 0:
        return Path("/var/lib/ec2tasks") / f"local-{digest(state)[:8]}"
    return Path(state) / "ec2tasks" / "local"


def this_layout() -> Layout:
    """The layout for this user and environment. Raises Failure where its folder is another user's."""
    layout = Layout(root=state_folder(os.environ, os.geteuid()))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        _check_owner(layout.root)
    return layout


def _check_owner(folder: Path) -> None:
    # What stands in it is believed: a URL, a pid that is signalled.
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise Failure(f"`{folder}` belongs to another user of this machine (uid {owner})", hint=ELSEWHERE)


def make_private(layout: Layout, guest_id: int) -> None:
    """Make the folder where it is missing, and let nobody in but this user and the instances'.

    Raises Failure for a folder that holds other files: closing it would close them, to whoever needs them.
    """
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(layout.root)
        if not layout.start_lock.exists() and any(layout.root.iterdir()):
            raise Failure(f"the folder `{layout.root}` holds other files than a local EC2's", hint=ELSEWHERE)
        layout.start_lock.touch(mode=0o600)
        if os.geteuid() == 0:
            os.chown(layout.root, 0, guest_id)
            layout.root.chmod(0o710)
        else:
            layout.root.chmod(0o700)
    except OSError as error:
        raise Failure(
            f"the local EC2 can't use the folder `{layout.root}`: {error.strerror}", hint=ELSEWHERE
        ) from None
