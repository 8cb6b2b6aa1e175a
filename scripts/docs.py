"""Writes docs/tasks.md from the program itself, and checks that what is committed is what it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parent.parent
PAGE = REPO / "docs" / "tasks.md"
# Invoke wraps its help to the terminal's width.
ENVIRONMENT = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}


def said(*words: str) -> str:
    """What `ec2tasks WORDS` prints."""
    argv = [sys.executable, "-m", "ec2tasks", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout.strip()


def task_names() -> list[str]:
    """The tasks in the order of the list."""
    from ec2tasks import ec2

    return sorted(ec2.task_names, key=lambda name: (name.count("."), name))


def page() -> str:
    """The page: the list, then each task's help."""
    parts = [
        "# Tasks",
        "Written by `scripts/docs.py` from the program. `inv ec2.X` and `ec2tasks X` are the same task.",
        f"```\n{said('--list')}\n```",
    ]
    for name in task_names():
        parts += [f"## {name}", f"```\n{said('--help', name)}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page, or with --check only compare."""
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        sys.exit("docs/tasks.md is not what the program says: run `python scripts/docs.py`")


if __name__ == "__main__":
    main()
