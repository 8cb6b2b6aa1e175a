"""Tells which names of the instance's are another's on the disk here, which may take two for one.

A Mac's disk does so with letters that differ in case, and with accents that are written as one character or
as two (https://unicode.org/reports/tr15/): `Model` and `model` can't stand beside each other there. An
instance's disk tells them apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.entries import parents

Fold = Callable[[str], str]
PROBE = "prob\u00e9"  # an accent that can be spelled in two ways


def fold_of(root: Path, paths: Collection[str]) -> Fold | None:
    """What makes one of the spellings that this disk takes for one name; None where it tells them apart."""
    folds_case = _is_one(root / OWN_FOLDER, OWN_FOLDER.upper())
    folds_accents = not all(map(str.isascii, paths)) and _folds_accents(root / OWN_FOLDER)
    if folds_case:
        return lambda name: _composed(_composed(name).casefold())
    return _composed if folds_accents else None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_one(place: Path, spelling: str) -> bool:
    """Whether another spelling of its name leads to the same."""
    try:
        return place.samefile(place.with_name(spelling))
    except OSError:
        return False


def _folds_accents(folder: Path) -> bool:
    place = folder / PROBE
    try:
        place.touch()
        return _is_one(place, unicodedata.normalize("NFD", PROBE))
    except OSError:
        return False
    finally:
        place.unlink(missing_ok=True)


def clashing(paths: Iterable[str], names_in: Callable[[str], Iterable[str]], fold: Fold) -> dict[str, str]:
    """Those of these paths of the instance's that can't stand here, each with the part of it that can't.

    `names_in` tells the names in a folder here; of several such paths, the first in their order can.
    """
    taken: dict[str, dict[str, str]] = {}
    found = {}
    for path in sorted(paths):
        for part in (*parents(path), path):
            folder, _, name = part.rpartition("/")
            if folder not in taken:
                taken[folder] = {fold(here): here for here in names_in(folder)}
            if taken[folder].setdefault(fold(name), name) != name:
                found[path] = part
                break
    return found


def clashing_here(root: Path, paths: Collection[str]) -> dict[str, str]:
    """The same, of what stands in this project, on its disk."""
    fold = fold_of(root, paths) if paths else None
    return clashing(paths, lambda folder: _names_in(root / folder), fold) if fold else {}


def _names_in(folder: Path) -> list[str]:
    try:
        return [place.name for place in folder.iterdir()]
    except OSError:
        return []
