"""One transfer of a project's files: between which folders, for which job, in which direction."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.remote.folder import RemoteFolder

ROUNDS = 3  # times that a file is moved which changes while it is moved
NAMED = 5  # names in a sentence


class Direction(Enum):
    """Which way files go; the values are the words shown."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The folders on both sides, the job that files are moved for, and how much is shown of it."""

    root: Path
    remote: RemoteFolder
    job_id: str
    tools: Tools
    verbose: bool = False
    quiet: bool = False

    def replaced_folder(self, round_: int = 0) -> str:
        """The folder, below the project on either side, for copies of what this job replaces.

        One for each round, so that what is moved for another time leaves the copies of before.
        """
        return f"{OWN_FOLDER}/replaced/{self.job_id}" + (f".{round_}" if round_ else "")


def names_text(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
