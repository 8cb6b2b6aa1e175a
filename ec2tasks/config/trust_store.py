"""Remembers on this machine, outside every project, which wishes of a project's files the user has agreed to.

As direnv does (https://direnv.net/man/direnv.1.html): for that folder, by its real path, and exactly those
wishes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from ec2tasks.base.state import State, digest, write_atomically
from ec2tasks.base.writable import writing
from ec2tasks.config.trust import Wish


def agreed_digests(state: State, root: Path) -> frozenset[str]:
    """The digests of the wishes that the user has agreed to for this folder; none where nothing is kept."""
    path, folder = _place(state, root)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(map(str, content["wishes"])) if content["folder"] == folder else frozenset()
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()


def agree(state: State, root: Path, wishes: Iterable[Wish], *, earlier: Iterable[str] = ()) -> None:
    """Keep the user's yes to these wishes, beside those of these `earlier` digests. Raises Failure."""
    path, folder = _place(state, root)
    digests = sorted({*earlier, *(wish.digest for wish in wishes)})
    write_atomically(path, json.dumps({"folder": folder, "wishes": digests}), durable=True)


def revoke(state: State, root: Path) -> bool:
    """Forget what the user has agreed to for this folder; whether there was anything. Raises Failure."""
    path, _ = _place(state, root)
    with writing(path), contextlib.suppress(FileNotFoundError):
        path.unlink()
        return True
    return False


def _place(state: State, root: Path) -> tuple[Path, str]:
    """Where the yes for a folder is kept, and the folder's real path."""
    folder = os.path.realpath(root)
    name = folder.encode("utf-8", "surrogateescape").hex()
    return state.folder / "trust" / digest(name), name
