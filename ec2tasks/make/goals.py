"""Whether the Makefile here has recipes for the targets that are asked for."""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Sequence
from pathlib import Path

from ec2tasks.base.errors import UsageError
from ec2tasks.make.database import ANYTHING, PREFIX, Targets, known_targets, unknown_targets
from ec2tasks.make.reading import MAKEFILES, Reading

INCLUDE = re.compile(r"^ *(?:-include|sinclude|include)[ \t]+([^#\n]+)", re.MULTILINE)


def check_targets(reading: Reading) -> Targets:
    """Return what this folder's Makefile can make. Raises UsageError for targets that certainly don't exist.

    In doubt (rules that fit anything, makefiles yet to be generated, a database that is not known, another
    folder or makefile asked for) it is ANYTHING.
    """
    arguments, folder = reading.arguments, reading.folder
    known = known_targets(reading.database)
    if not reading.database or _may_grow(reading, known):
        return ANYTHING
    unknown = unknown_targets(arguments.goals, known, lambda name: (folder / name).exists())
    if unknown:
        raise _no_recipe(unknown, known, " ".join(reading.makefiles))
    return ANYTHING if arguments.makefiles or arguments.directory != "." else known


def _may_grow(reading: Reading, known: Targets) -> bool:
    """Whether make would first generate a makefile that is included, which may hold more rules."""
    texts = (path.read_text("utf-8", errors="replace") for path in reading.files if path.is_file())
    included = (words for text in texts for words in INCLUDE.findall(text.replace("\\\n", " ")))
    return any(_may_be_generated(words, known, reading.folder) for words in included)


def _may_be_generated(words: str, known: Targets, folder: Path) -> bool:
    """Whether make has a way to make one of the included makefiles, that is not there yet."""
    if "$" in words:
        return not words.startswith("$(wildcard ")
    absent = (word for word in words.split() if not glob.glob(word, root_dir=folder))  # noqa: PTH207
    return any(known.may_make(word, lambda _: False) for word in absent)


def _no_recipe(unknown: Sequence[str], known: Targets, makefile: str) -> UsageError:
    """The error that names the targets without a recipe, and those that are spelled like the first."""
    names = sorted(name for name in known.names if re.match(r"[^.%/\s]+$", name) and name not in MAKEFILES)
    what = "no recipe " + ", ".join(f"`{name}`" for name in unknown) + f" in {makefile}"
    target = unknown[0].removeprefix(PREFIX)
    close = [target] if target in names else difflib.get_close_matches(target, names)
    if close:
        return UsageError(what, hint="did you mean " + " or ".join(f"`{name}`" for name in close) + "?")
    return UsageError(what, hint=f"it has: {', '.join(names[:12])}" if names else None)
