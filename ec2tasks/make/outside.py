"""What make reads from outside of the project: the instance would lack it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import SETTINGS_FILE
from ec2tasks.make.reading import Reading

INCLUDE = re.compile(r"^ *include[ \t]+([^#\n]+)", re.MULTILINE)  # not those that need not be there


def check_inside(reading: Reading, root: Path) -> None:
    """Raise UsageError where make is to work in a folder, or read a makefile, outside of the project."""
    root = Path(os.path.normpath(root))
    for path, name in _needed(reading):
        place = Path(os.path.normpath(path))
        if not place.is_relative_to(root):
            above = Path(os.path.commonpath([root, place]))
            settings = shlex.quote(str(above / SETTINGS_FILE))
            raise UsageError(
                f"`{name}` is outside of the project `{root}`, so the instance would lack it",
                hint=f"`touch {settings}` makes one project of the folder that holds both",
            )


def _needed(reading: Reading) -> Iterator[tuple[Path, str]]:
    """What the call can't do without, and how it is named."""
    arguments = reading.arguments
    yield reading.folder, arguments.directory
    yield from ((reading.folder / name, name) for name in arguments.makefiles)
    for file in reading.files:
        text = file.read_text("utf-8", errors="surrogateescape") if file.is_file() else ""
        for words in INCLUDE.findall(text.replace("\\\n", " ")):
            # What is included by a whole path is no part of a project, here or there.
            relative = (name for name in words.split() if "$" not in name and not name.startswith("/"))
            yield from ((reading.folder / name, name) for name in relative)
