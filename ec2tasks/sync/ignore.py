"""Which paths are ignored: our own files, what .rsyncignore says, or a short list where there is none.

Rsync alone reads its patterns (FILTER RULES of https://download.samba.org/pub/rsync/rsync.1).
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.said import first_time
from ec2tasks.sync.withheld import path_pattern, withheld_paths

IGNORE_FILE = ".rsyncignore"
# It fits one machine only, as an environment does. Spelled so, messages tell it from a project's own pattern.
MADE_AGAIN = "[n]ode_modules"
REPOSITORY = ".git"  # what the instance would put into it, a hook say, git runs here
DEFAULT_IGNORED = (
    ".git",
    ".venv",
    "__pycache__",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "node_modules",
)
# A conflict copy beside a file of yours, and what is being put in place: neither is part of the project.
DRAFT = ".ec2tasks-draft"
LONGEST_NAME, ROOM = 255, 16  # bytes of a file name, and what may follow the job id
# Some file systems take names for the same whose letters differ in case alone.
SPELLINGS = ("".join(letters) for letters in itertools.product("gG", "iI", "tT"))
OWN_PATTERNS = (
    f"{OWN_FOLDER}/",
    "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in OWN_FOLDER),
    *(f".{spelling}" for spelling in SPELLINGS if spelling != "git"),
    "*.ec2-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f]*",
    f"*{DRAFT}",
    # A repository inside: half of one merged into half of another is none.
    "/**/.git",
)


def filter_argv(root: Path, *, withheld: bool = True) -> list[str]:
    """Rsync's options for the ignored paths. Our own come first: the first pattern that fits counts.

    Among them, unless not `withheld`, the links whose content must not travel.
    """
    own = [f"--exclude={pattern}" for pattern in OWN_PATTERNS]
    own += [f"--exclude={path_pattern(path)}" for path in withheld_paths(root) if withheld]
    if (root / IGNORE_FILE).is_file():
        _check_patterns(root / IGNORE_FILE)
        # Last, so that the project's own file can want it.
        last = (MADE_AGAIN, REPOSITORY)
        return [*own, f"--exclude-from={root / IGNORE_FILE}", *(f"--exclude={pattern}" for pattern in last)]
    return [*own, *(f"--exclude={pattern}" for pattern in DEFAULT_IGNORED)]


def _check_patterns(path: Path) -> None:
    """Raise UsageError for a pattern that would let even our own files travel, or hides what it is."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if b"\0" in line:
            raise UsageError(
                f"`{path}` line {number}: rsync reads no further than the zero byte in it",
                hint="take that byte out",
            )
        if line.strip() == b"!":
            raise UsageError(
                f"`{path}` line {number}: a lone `!` takes back every pattern, ours too",
                hint="remove that line",
            )


def exclude_folder(folder: str) -> str:
    """Rsync's option that ignores this folder of the project."""
    return f"--exclude={path_pattern(folder)}/"


def say_default_ignored(root: Path) -> None:
    """Say once which paths are ignored by default, where the project has no ignore file."""
    if not (root / IGNORE_FILE).is_file() and first_time(root, "ignored by default"):
        output.step(f"no {IGNORE_FILE}: left out are {', '.join(DEFAULT_IGNORED)}")


def conflict_copy(path: str, job_id: str) -> str:
    """The path of a conflict copy: where the instance's version of a file arrives beside yours."""
    folder, _, name = path.rpartition("/")
    ending = f".ec2-{job_id}"
    while len(os.fsencode(name)) + len(ending) + ROOM > LONGEST_NAME:
        name = name[:-1]
    return f"{folder}/{name}{ending}" if folder else f"{name}{ending}"
