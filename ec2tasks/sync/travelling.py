"""Tells which paths travel at all, by the ignore patterns: also those that are named from elsewhere.

Rsync alone reads its patterns, and reads them of what stands in a folder. So the paths that one of them may
fit are laid out empty in a folder of our own, and rsync says which of them it would send.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.base.writable import FULL, unwritable_error
from ec2tasks.sync.entries import EntryKind, parents
from ec2tasks.sync.patterns import may_fit
from ec2tasks.sync.rsync import Items, run_rsync

LAYOUT = "names"  # the folder in .ec2tasks/ in which paths are laid out
NamedKind = tuple[str, EntryKind]
Shape = tuple[str, bool]  # a path, and whether it is a folder's: all that a pattern can tell


def travelling(
    root: Path, filters: Sequence[str], named: Iterable[NamedKind], tools: Tools
) -> set[NamedKind]:
    """Those of these paths, each with its kind, that are not ignored; `filters` as `filter_argv` has them.

    Raises Failure where they can't be laid out.
    """
    shapes = {(path, kind): (path, kind is EntryKind.FOLDER) for path, kind in named}
    fits, fitting = may_fit(filters), dict[str, bool]()
    left = {shape for shape in shapes.values() if _any_fits(shape[0], fits, fitting)}
    allowed = set(shapes.values()) - left
    layout = root / OWN_FOLDER / LAYOUT
    while left:
        try:
            shutil.rmtree(layout, ignore_errors=True)
            layout.mkdir()
            laid_out, impossible = _lay_out(layout, left)
            allowed |= (listed(layout, filters, tools) & laid_out) | impossible
        except OSError as error:
            raise unwritable_error(error, layout, hint="check the folder's rights and the disk") from error
        finally:
            shutil.rmtree(layout, ignore_errors=True)
        left -= laid_out | impossible
    return {named for named, shape in shapes.items() if shape in allowed}


def _any_fits(path: str, fits: Callable[[str], object], fitting: dict[str, bool]) -> bool:
    """Whether a pattern may fit a path or a folder above it; `fitting` remembers folders."""
    folder, _, name = path.rpartition("/")
    if folder and folder not in fitting:
        fitting[folder] = _any_fits(folder, fits, fitting)
    return bool(fits(name)) or (bool(folder) and fitting[folder])


def _lay_out(layout: Path, shapes: Iterable[Shape]) -> tuple[set[Shape], set[Shape]]:
    """Make these paths, empty: those that were made, and those that can't stand here under their name.

    What does not go beside another, a file beside a folder of one name, or names that this file system may
    take for one, is left for another time.
    """
    made, impossible = set[Shape](), set[Shape]()
    spelled: dict[str, str] = {}
    for path, is_folder in sorted(shapes):
        names = (*parents(path), path)
        if any(spelled.setdefault(name.casefold(), name) != name for name in names):
            continue
        try:
            _make(layout / path, is_folder=is_folder)
        except (FileExistsError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno in FULL:
                raise
            impossible.add((path, is_folder))
        else:
            made.add((path, is_folder))
    return made, impossible


def _make(path: Path, *, is_folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir(exist_ok=True)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def listed(folder: Path, filters: Sequence[str], tools: Tools) -> set[Shape]:
    """What rsync would send of a folder, links as what they lead to where that is outside: path, is a folder.

    Raises Failure where it can't be listed.
    """
    items = Items()
    nothing = folder.parent / f"{folder.name}.nothing"  # never made: all that would be sent is new there
    argv = ["rsync", "--dry-run", "--recursive", "--links", "--copy-unsafe-links", "--8-bit-output"]
    argv += [items.option, *filters, "--", f"{folder}/", f"{nothing}/"]
    found = set[Shape]()

    def take(line: bytes) -> None:
        if item := items.read(line):
            found.add((item.path, item.is_folder))

    result = run_rsync(argv, tools, on_line=take)
    if not found and not result.complete:
        raise Failure(f"the ignore patterns could not be read: {result.errors.strip()}", hint=None)
    return found
