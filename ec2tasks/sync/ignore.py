"""What never moves: our own files, what .rsyncignore says, or a short list where there is none.

Rsync alone reads its patterns (FILTER RULES of https://download.samba.org/pub/rsync/rsync.1).
"""

from __future__ import annotations

import os
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.project_dir import OWN_FOLDER

IGNORE_FILE = ".rsyncignore"
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
# What arrived beside a file of yours, and what is being put in place: neither is part of the project.
DRAFT = ".ec2tasks-draft"
LONGEST_NAME, ROOM = 255, 16  # bytes of a file name, and what may follow the run
OWN_PATTERNS = (
    f"{OWN_FOLDER}/",
    "*.ec2-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]-[0-9a-f]*",
    f"*{DRAFT}",
    # A repository inside: half of one merged into half of another is none.
    "/**/.git",
)


def filter_argv(root: Path) -> list[str]:
    """The options that keep back what never moves. Ours come first: the first pattern that fits counts."""
    own = [f"--exclude={one}" for one in OWN_PATTERNS]
    if (root / IGNORE_FILE).is_file():
        _check_patterns(root / IGNORE_FILE)
        return [*own, f"--exclude-from={root / IGNORE_FILE}"]
    return [*own, *(f"--exclude={one}" for one in DEFAULT_IGNORED)]


def _check_patterns(path: Path) -> None:
    """Raise UsageError for a pattern that would let even our own files travel."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip() == b"!":
            raise UsageError(
                f"`{path}` line {number}: a lone `!` takes back every pattern, ours too",
                hint="remove that line",
            )


def say_default_ignored(root: Path) -> None:
    """Say what stays behind where the project does not say it itself; once."""
    said = root / OWN_FOLDER / "default-ignored"
    if (root / IGNORE_FILE).is_file() or said.exists():
        return
    output.step(f"no {IGNORE_FILE}: left out are {', '.join(DEFAULT_IGNORED)}")
    if said.parent.is_dir():
        said.touch()


def beside(path: str, job_id: str) -> str:
    """The name under which the instance's version of a file arrives beside yours."""
    folder, _, name = path.rpartition("/")
    ending = f".ec2-{job_id}"
    while len(os.fsencode(name)) + len(ending) + ROOM > LONGEST_NAME:
        name = name[:-1]
    return f"{folder}/{name}{ending}" if folder else f"{name}{ending}"
