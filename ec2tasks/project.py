"""The project: the folder that travels, and what tells it from another of the same name."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.errors import UsageError

SETTINGS_FILE = "ec2.yaml"


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folder `root`, and where below it the user stands (`.` for the root itself)."""

    root: Path
    below: Path

    @property
    def label(self) -> str:
        """The folder's name as a word that AWS, paths and shells take as it is."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.root.name).strip("-.") or "project"


def find_project(cwd: Path) -> Project:
    """The nearest folder upwards that holds ec2.yaml, else this one."""
    root = next((folder for folder in (cwd, *cwd.parents) if (folder / SETTINGS_FILE).is_file()), cwd)
    return Project(root=root, below=cwd.relative_to(root))


def check_syncable(project: Project, home: Path) -> None:
    """Refuse to send a whole home or disk."""
    if project.root in (home, *home.parents):
        raise UsageError(
            f"`{project.root}` holds your whole home and is no project to send to an instance",
            hint="cd into the project first, or add --no-rsync",
        )


def identity(project: Project) -> str:
    """The same for each clone of one git repository, different for two projects of one name."""
    git = ["git", "-C", str(project.root), "rev-list", "--max-parents=0", "HEAD"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10)
        first_commits = found.stdout.split() if found.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        first_commits = []
    if first_commits:
        top = _git_top(project.root)
        origin = f"{min(first_commits)}:{project.root.relative_to(top)}"
    else:
        origin = f"{socket.gethostname()}:{os.fspath(project.root)}"
    return hashlib.sha256(origin.encode()).hexdigest()[:16]


def _git_top(folder: Path) -> Path:
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)
