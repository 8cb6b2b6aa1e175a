"""The project: the folder that is synchronised, and its identity among others of the same name."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.base.errors import UsageError

SETTINGS_FILE = "ec2.yaml"
# A repository's own configuration can name a program with which git fetches an object that is missing, and a
# clone can hold a repository in a folder of it, configuration and all: no transport, and none of that kind.
QUIET_GIT = ("-c", "safe.bareRepository=explicit")
QUIET_GIT_ENVIRONMENT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True, kw_only=True)
class Project:
    """The project's folder, `root`, and the working directory relative to it, `below` (`.` for the root)."""

    root: Path
    below: Path

    @property
    def label(self) -> str:
        """The folder's name as a word that AWS, paths and shells take without quoting."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.root.name).strip("-.") or "project"


def find_project(cwd: Path) -> Project:
    """The project that `cwd` lies in: the nearest folder upwards with an ec2.yaml, else `cwd` itself."""
    root = next((folder for folder in (cwd, *cwd.parents) if (folder / SETTINGS_FILE).is_file()), cwd)
    return Project(root=root, below=cwd.relative_to(root))


def check_syncable(project: Project, home: Path) -> None:
    """Raise UsageError for a project that is, or holds, the user's home: all of that would be sent."""
    if project.root in (home, *home.parents):
        raise UsageError(
            f"`{project.root}` holds your whole home and is no project to send to an instance",
            hint="cd into the project first, or add --no-rsync",
        )


def project_identity(project: Project) -> str:
    """A hash that is the same for each clone of a git repository, and different for projects of one name."""
    first_commits = (_git(project.root, "rev-list", "--max-parents=0", "HEAD") or "").split()
    below = _git(project.root, "rev-parse", "--show-prefix")  # of the repository, with a slash at its end
    if first_commits and below is not None:
        origin = f"{min(first_commits)}:{Path(below)}"
    else:
        origin = f"{socket.gethostname()}:{os.fspath(project.root)}"
    return hashlib.sha256(os.fsencode(origin)).hexdigest()[:16]


def _git(folder: Path, *words: str) -> str | None:
    """The output of git in a folder; None where it is no repository, has no commit, or git is missing.

    Whatever the repository's configuration says, git starts no other program.
    """
    argv = ["git", *QUIET_GIT, "-C", str(folder), *words]
    environ = {**os.environ, **QUIET_GIT_ENVIRONMENT}
    try:
        result = subprocess.run(argv, capture_output=True, timeout=10, env=environ)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(result.stdout).removesuffix("\n") if result.returncode == 0 else None
