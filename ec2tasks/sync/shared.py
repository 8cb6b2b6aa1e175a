"""Files that several runs write: tails are joined, and what a sweep's other runs fetched is not yours."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.base.writable import writing
from ec2tasks.sync.entries import KINDS, Entry, EntryKind, kind_of
from ec2tasks.sync.reconcile import Change, Resolution

FOLDER = "sweeps"  # in it a file for each sweep: what its runs have put here
KEPT = 20  # sweeps of which that is kept


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What a sync knows of other runs: files that each run only adds to, and the sweep that it belongs to.

    `append` are patterns of paths in the project; `sweep` is the sweep's id, empty for none.
    """

    root: Path
    append: tuple[str, ...] = ()
    sweep: str = ""
    placed: dict[str, Entry] = field(default_factory=dict)

    def settle(self, change: Change) -> Change:
        """The change; no conflict where tails may be joined, or another run has put here what stands here."""
        if change.resolution is not Resolution.CONFLICT:
            return change
        files = kind_of(change.local) is kind_of(change.remote) is EntryKind.FILE
        if files and any(fnmatchcase(change.path, pattern) for pattern in self.append):
            return replace(change, resolution=Resolution.JOIN)
        return replace(change, resolution=Resolution.PULL) if self.is_fetched(change) else change

    def is_fetched(self, change: Change) -> bool:
        """Whether what stands here is as another run of the sweep has put it here."""
        return bool(self.sweep) and change.local is not None and self.fetched.get(change.path) == change.local

    @cached_property
    def fetched(self) -> Mapping[str, Entry]:
        """What the sweep's runs have put here last, by path; nothing where that can't be read."""
        found: dict[str, Entry] = {}
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            for line in self._file.read_text(encoding="utf-8").splitlines():
                path, (letter, *rest) = json.loads(line)
                found[path] = Entry(KINDS[letter], *rest)
        return found

    def keep_placed(self) -> None:
        """Let the other runs of the sweep know what this one has put here. Raises Failure."""
        if not self.sweep or not self.placed:
            return
        lines = [json.dumps([path, entry]) + "\n" for path, entry in self.placed.items()]
        with writing(self._file):
            self._file.parent.mkdir(exist_ok=True)
            if not self._file.exists():
                for old in sorted(self._file.parent.iterdir())[: 1 - KEPT]:
                    old.unlink(missing_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        self.placed.clear()

    @property
    def _file(self) -> Path:
        return self.root / OWN_FOLDER / FOLDER / os.path.basename(self.sweep)  # noqa: PTH119  # no path


def joined(here: bytes, there: bytes, known: int) -> bytes | None:
    """What stands here with what was added there; None where anything else was changed than the ends. Pure.

    `known`: how many bytes of `there` both sides had when they were last in sync. Where they had none, the
    first lines that are the same, such as a heading, are kept once.
    """
    if known:
        if here[:known] != there[:known] or len(there) < known:
            return None
        tail = there[known:]
    else:
        tail = b"".join(_without_common(here.splitlines(keepends=True), there.splitlines(keepends=True)))
    begins = not here or here.endswith(b"\n") or tail.startswith((b"\n", b"\r\n"))
    return here + (b"\n" if tail and not begins else b"") + tail


def _without_common(here: list[bytes], there: list[bytes]) -> list[bytes]:
    """The lines there after the first ones that are the same here."""
    common = 0
    while common < min(len(here), len(there)) and here[common] == there[common]:
        common += 1
    return there[common:]
