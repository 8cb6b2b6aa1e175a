"""Remembers in the project what was said once and need not be said again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from ec2tasks.base.project_dir import OWN_FOLDER

FILE = "said"


def first_time(root: Path, what: str) -> bool:
    """Whether this was never asked about before in this project; from now on it was."""
    file, line = root / OWN_FOLDER / FILE, json.dumps(what)
    with contextlib.suppress(OSError):
        if line in file.read_text(encoding="utf-8").splitlines():
            return False
    with contextlib.suppress(OSError), file.open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")
    return True
