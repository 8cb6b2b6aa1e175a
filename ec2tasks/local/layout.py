"""Where the local EC2 keeps its state on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
        """What the server says of itself once it answers: pid, URL, SSH port."""
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

    def pip_cache(self, family: str) -> Path:
        """The downloads shared by all instances of one family of images; it outlives the server."""
        return self.root / "cache" / family / "pip"


def state_folder(environ: Mapping[str, str], uid: int) -> Path:
    """EC2_LOCAL_DIR, else the usual place for the state of root's or a user's programs."""
    if chosen := environ.get("EC2_LOCAL_DIR"):
        return Path(chosen).expanduser().absolute()
    if uid == 0:
        return Path("/var/lib/ec2tasks/local")
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".local/state")
    return Path(home) / "ec2tasks" / "local"


def this_layout() -> Layout:
    """The layout for this user and environment."""
    return Layout(root=state_folder(os.environ, os.geteuid()))
