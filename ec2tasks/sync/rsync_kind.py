"""Tells what an rsync lacks that a sync needs, by what it says of its version. Pure.

macOS 15 and later bring openrsync (https://github.com/KlaraSystems/openrsync), earlier ones rsync 2.6.9.
Neither will do: they know the times of files by the second alone, so that a change within one is missed, and
tell nothing of what a pattern keeps out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ec2tasks.base.errors import Failure

NAMED = 3  # options in a sentence


class Need(NamedTuple):
    """Since which version of rsync an option is there, and whether openrsync has it."""

    since: tuple[int, ...]
    openrsync: bool = True


# NEWS.md of https://github.com/RsyncProject/rsync, main.c of openrsync. What 2.6.9 has counts as of old.
OLD = (2, 6, 9)
OPTIONS = {
    **dict.fromkeys(
        (
            *("8-bit-output", "backup", "backup-dir", "checksum", "chmod", "copy-dest", "copy-links"),
            *(
                "copy-unsafe-links",
                "delete",
                "dirs",
                "dry-run",
                "exclude",
                "exclude-from",
                "files-from",
                "from0",
            ),
            *("ignore-errors", "ignore-existing", "ignore-times", "include", "inplace", "keep-dirlinks"),
            *(
                "links",
                "list-only",
                "no-implied-dirs",
                "omit-dir-times",
                "out-format",
                "partial",
                "partial-dir",
            ),
            *("perms", "recursive", "rsh", "rsync-path", "temp-dir", "timeout", "times"),
        ),
        Need(OLD),
    ),
    "modify-window=-1": Need((3, 1, 3), openrsync=False),  # takes it, and compares by the second
    "debug": Need((3, 1, 0), openrsync=False),
    "info": Need((3, 1, 0), openrsync=False),
    "outbuf": Need((3, 1, 0), openrsync=False),
    "no-inc-recursive": Need((3, 0, 0), openrsync=False),
    "protect-args": Need((3, 0, 0), openrsync=False),
}
OLDEST_TEXT = ".".join(map(str, max(need.since for need in OPTIONS.values())))
MENDING = "brew install rsync   (or: sudo apt-get install -y rsync)"


def lacking(version: str) -> list[str]:
    """The options that an rsync of this `rsync --version` lacks; none where it can't be told."""
    number = re.search(r"\bversion v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if is_openrsync(version):
        return [name for name, need in OPTIONS.items() if not need.openrsync]
    if not number:
        return []
    told = tuple(int(part or 0) for part in number.groups())
    return [name for name, need in OPTIONS.items() if told < need.since]


def is_openrsync(version: str) -> bool:
    """Whether this `rsync --version` is openrsync's, which also names the rsync that it goes with."""
    return version.lstrip().startswith("openrsync")


def unfit_error(version: str) -> Failure | None:
    """The failure that an rsync of this `rsync --version` means; None where it will do."""
    missing = lacking(version)
    if not missing:
        return None
    said = " ".join(version.split("\n")[0].split())
    what = ", ".join(f"--{name}" for name in missing[:NAMED])
    return Failure(f"the rsync here lacks {what}: `{said}`; {OLDEST_TEXT} or newer is needed", hint=MENDING)
