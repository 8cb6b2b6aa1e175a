"""The project: the folder that is synchronised, and its identity among others of the same name."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError

SETTINGS_FILE = "ec2.yaml"
# A repository's own configuration can name a program with which git fetches an object that is missing, and a
# clone can hold a repository in a folder of it, configuration and all: no transport, and none of that kind.
QUIET_GIT = ("-c", "safe.bareRepository=explicit")
QUIET_GIT_ENVIRONMENT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
# Looking at the files, git would also ask a monitor, run hooks once it writes its index, and look into each
# repository below by that one's own configuration.
LOOKING = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-optional-locks")
OID = "# branch.oid "  # git-status(1), porcelain format version 2
DIFF_LIMIT = 200_000  # bytes of a diff; of a file over a MiB only that it differs


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What of a project is committed: the commit, and how its files differ from that.

    `clean`: whether they do not; None where that can't be told without starting what the repository names.
    `changes`: files that git does not know, then the diff of the others, cut at DIFF_LIMIT.
    """

    commit: str
    clean: bool | None
    changes: str = ""


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


def revision(root: Path) -> Revision | None:
    """The commit that the project stands on, and what differs from it; None outside of a repository."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    if _has_filters(root):
        commit = _git(root, "rev-parse", "--verify", "HEAD")
        return Revision(commit=commit, clean=None) if commit else None
    words = (
        "status",
        "--porcelain=v2",
        "--branch",
        "--no-ahead-behind",
        "--ignore-submodules=all",
        "--",
        ".",
    )
    told = (_git(root, *LOOKING, *words) or "").split("\n")
    commit = next((line.removeprefix(OID) for line in told if line.startswith(OID)), "")
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        return None  # none yet
    changed = [line for line in told if line and not line.startswith("#")]
    if not changed:
        return Revision(commit=commit, clean=True)
    unknown = "".join(f"{line}\n" for line in changed if line.startswith("? "))
    return Revision(commit=commit, clean=False, changes=(unknown + _diff(root))[:DIFF_LIMIT])


def _has_filters(folder: Path) -> bool:
    """Whether the repository itself names programs through which its files go to be compared."""
    found = _git(folder, "config", "--show-scope", "--name-only", "--get-regexp", r"^(filter\.|core\.bare$)")
    # Every repository says `core.bare`: no answer is that of a git which does not tell who says what.
    return found is None or any(
        not line.startswith(("system\t", "global\t", "command\t")) and "\tfilter." in line.lower()
        for line in found.split("\n")
    )


def _diff(root: Path) -> str:
    """What differs from the commit, in git's own words, without a program for one kind of file."""
    words = (
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--ignore-submodules=all",
        "HEAD",
        "--",
        ".",
    )
    git = _git_argv(root, *LOOKING, "-c", "core.bigFileThreshold=1m", *words)
    return _answer("sh", "-c", '"$@" | head -c "$0"', str(DIFF_LIMIT), *git) or ""


def _git_argv(folder: Path, *words: str) -> list[str]:
    return ["git", *QUIET_GIT, "-C", str(folder), *words]


def _git(folder: Path, *words: str) -> str | None:
    """The output of git in a folder; None where it is no repository, has no commit, or git is missing.

    Whatever the repository's configuration says, git starts no other program.
    """
    return _answer(*_git_argv(folder, *words))


def _answer(*argv: str) -> str | None:
    environ = {**os.environ, **QUIET_GIT_ENVIRONMENT}
    try:
        result = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=10, env=environ)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(result.stdout).removesuffix("\n") if result.returncode == 0 else None
