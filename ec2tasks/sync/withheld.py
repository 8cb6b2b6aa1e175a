"""Keeps paths out of every sync, whatever the project's own patterns say: links that nobody has agreed to.

What is kept out of the next one stands in the project's `.ec2tasks/`, written anew before each transfer.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ec2tasks.base.project_dir import OWN_FOLDER, make_own_folder
from ec2tasks.base.writable import writing

WITHHELD_FILE = f"{OWN_FOLDER}/withheld"
WILDCARD = re.compile(r"[*?[]")


def withheld_paths(root: Path) -> list[str]:
    """The paths that are kept out of every sync, as `withhold` has left them."""
    try:
        kept = (root / WITHHELD_FILE).read_bytes()
    except OSError:
        return []
    return [os.fsdecode(path) for path in kept.split(b"\0") if path]


def withhold(root: Path, paths: Iterable[str]) -> None:
    """Keep these paths, and what is behind them, out of every sync from now on, and no others.

    Raises Failure where that can't be written down.
    """
    place, content = root / WITHHELD_FILE, b"\0".join(os.fsencode(path) for path in sorted(paths))
    if not content and not os.path.lexists(place):
        return
    with writing(place, hint="check the folder's rights and the disk"):
        # What a clone brought along under this name, or any that could be foreseen, may be a link.
        descriptor, draft = tempfile.mkstemp(dir=make_own_folder(root))
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(place)


def path_pattern(path: str) -> str:
    """Rsync's pattern that fits this path of the project alone: a backslash counts only beside a wildcard."""
    return "/" + (re.sub(r"([*?[\\])", r"\\\1", path) if WILDCARD.search(path) else path)
