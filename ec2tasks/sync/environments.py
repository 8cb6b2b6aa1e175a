"""Tells the environments in a project, which fit one machine only: they never move, in either direction.

A folder with `pyvenv.cfg` (https://docs.python.org/3/library/venv.html) or `conda-meta/` in it is one,
whatever its name, and so is `node_modules`. A line such as `+ /venv/` in
.rsyncignore lets one travel all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree
from ec2tasks.sync.entries import encode_paths
from ec2tasks.sync.ignore import MADE_AGAIN, exclude_folder
from ec2tasks.sync.progress import size_text
from ec2tasks.sync.rsync import RsyncResult
from ec2tasks.sync.said import first_time
from ec2tasks.sync.transfer import Transfer
from ec2tasks.sync.travelling import listed
from ec2tasks.sync.withheld import path_pattern

MARKERS = ("pyvenv.cfg", "conda-meta")


def environments_in(paths: Iterable[str]) -> set[str]:
    """The environments among paths, by what is in them. The project itself is none."""
    found = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if name in MARKERS:
            found.add(folder)
        elif "/conda-meta/" in path:
            found.add(path.partition("/conda-meta/")[0])
    return found - {""}


def is_marker(place: Path) -> bool:
    """Whether what stands at a place here, of a marker's name, tells an environment: as a push lists it."""
    return place.is_dir() or (place.is_file() and place.name != "conda-meta")


def still_here(root: Path, environments: Iterable[str]) -> set[str]:
    """Those of these environments that are some in this folder."""
    return {path for path in environments if any(is_marker(root / path / marker) for marker in MARKERS)}


def environment_filters(environments: Iterable[str]) -> list[str]:
    """Rsync's options that leave them out; whatever patterns stand before these count first."""
    return [exclude_folder(path) for path in sorted(environments)]


def local_environments(root: Path, filters: Sequence[str], tools: Tools) -> set[str]:
    """The environments here that would travel by these patterns."""
    only = ("--include=pyvenv.cfg", "--include=*/", "--exclude=*")
    return environments_in(path for path, _ in listed(root, [*filters, *only], tools))


def say_environments(transfer: Transfer, paths: Iterable[str], result: RsyncResult) -> None:
    """Say once of each environment, and what a listing has kept out as one, that it stays where it is."""
    root, tools = transfer.root, transfer.tools
    for path in sorted({*paths, *result.hidden(MADE_AGAIN)}):
        if first_time(root, f"environment {path}"):
            is_here = (root / path).is_dir()
            size = _local_size(root / path, tools) if is_here else _remote_size(transfer.remote, path, tools)
            where = "here" if is_here else "there"
            output.step(f"`{path}` stays {where}{size}: an environment fits one machine only")
            output.hint(f"a line `+ {path_pattern(path)}/` in .rsyncignore lets it travel all the same")


def _local_size(folder: Path, tools: Tools) -> str:
    return _size(tools.capture(["du", "-sk", "--", f"{folder}"]).stdout)


def _remote_size(remote: RemoteFolder, path: str, tools: Tools) -> str:
    return _size(ask_tree(remote, tools, "size", stdin=encode_paths([f"./{path}"])))


def _size(answer: bytes) -> str:
    """The size in an answer of du, in words."""
    kilobytes = answer[:20].split()[:1]
    return f" ({size_text(int(kilobytes[0]) * 1024)})" if kilobytes and kilobytes[0].isdigit() else ""
