"""Deleting folders that an instance wrote."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path


def remove_tree(folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Delete a folder whatever modes its files have, also while the last who writes there is ending."""
    for _ in range(20):
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        sleep(0.05)
