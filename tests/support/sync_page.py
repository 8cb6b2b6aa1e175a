"""The tables of docs/sync.md."""

from __future__ import annotations

from support.repository import REPO

PAGE = REPO / "docs" / "sync.md"


def cells() -> list[tuple[str, str, str, str]]:
    """Each cell of the page's tables: which (`known`, `new`), what happened here, there, and what becomes."""
    found, columns, which = [], [], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        words = [one.strip() for one in line.strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|-"):
            continue
        if words[0].startswith("here \\ there"):
            which, columns = words[0].partition(", ")[2] or "known", words[1:]
        elif columns:
            found += [(which, words[0], there, cell) for there, cell in zip(columns, words[1:], strict=True)]
    return found
