"""What `ec2tasks --help` shows first: the tasks by what they are for."""

from __future__ import annotations

from collections.abc import Iterator

from invoke.collection import Collection

from ec2tasks.cli.tasks import GROUPS, Tasks


def groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each group's title, and its tasks' names, as wide in all of them, with what their help begins with."""
    found = [(title, list(_rows(tasks))) for title, tasks in GROUPS]
    width = max(len(name) for _, rows in found for name, _ in rows)
    return [(title, [(name.ljust(width), about) for name, about in rows]) for title, rows in found]


def _rows(tasks: Tasks, before: str = "") -> Iterator[tuple[str, str]]:
    """Each task's name and what its help begins with; of a collection, those of the tasks in it."""
    for one in tasks:
        if isinstance(one, Collection):
            yield from _rows(list(one.tasks.values()), f"{one.name}.")
        else:
            yield before + str(one.name), (one.__doc__ or "").strip().splitlines()[0]
