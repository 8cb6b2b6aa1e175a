"""Finds the project's links that lead out of it, and what behind them must not travel; moves nothing.

It costs a look at the names in each folder that may travel, a small part of rsync's own look at the files: no
file is opened, nothing but links is looked at. Where links lead out and the ignore file holds more than plain
names, rsync says which of those links travel, by an empty tree of their names alone.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import Tools, check_tools
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.base.secret_stores import SecretStores, secret_stores
from ec2tasks.sync.entries import is_outward, parents
from ec2tasks.sync.environments import MARKERS, environment_filters, environments_in, is_marker
from ec2tasks.sync.ignore import DEFAULT_IGNORED, IGNORE_FILE, REPOSITORY, filter_argv
from ec2tasks.sync.travelling import listed

LINE_END = re.compile(rb"[\r\n]")  # as rsync reads the file: str.splitlines knows more of them
PATH_LIMIT = 1024 if sys.platform == "darwin" else 4096  # bytes, and a zero byte among them
PLAIN_NAME = re.compile(r"[\w.][\w.-]*/?")


@dataclass(frozen=True, kw_only=True)
class OutwardLink:
    """A link of the project that leads out of it, to a `real` path, and would travel as what is there.

    `stamp` is its inode and when that changed; `secret` a store of keys or tokens that would travel by it.
    """

    path: str
    target: str
    real: Path
    stamp: tuple[int, int]
    secret: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """Names that are ignored wherever they stand, and of `folders` alone; `all_of_them`: nothing else is."""

    names: frozenset[str]
    folders: frozenset[str] = frozenset()
    all_of_them: bool


def ignored_names(root: Path) -> Ignored:
    """The names that the project ignores for certain: the first pattern that fits a path counts."""
    place = root / IGNORE_FILE
    try:
        text = place.read_bytes() if place.is_file() else None  # a device has no end
    except OSError:
        text = None
    if text is None:
        return Ignored(names=frozenset(DEFAULT_IGNORED), all_of_them=not place.exists())
    names: set[str] = set()
    folders: set[str] = set()
    others = False
    for line in map(os.fsdecode, LINE_END.split(text)):
        if PLAIN_NAME.fullmatch(line):
            (folders if line.endswith("/") else names).add(line.rstrip("/"))
        elif line and not line.startswith(("#", ";")):
            others = True
            if not line.startswith("- "):
                break  # it may take back what comes after it, if not what was before
    if not others:
        names |= {"node_modules", REPOSITORY}  # they are ignored last, and no line here wants them
    return Ignored(names=frozenset(names), folders=frozenset(folders), all_of_them=not (others or folders))


def outward_links(root: Path, tools: Tools, home: Path) -> list[OutwardLink]:
    """The links of the project that lead out of it to something that is there, by path."""
    ignored = ignored_names(root)
    found = {path: target for path, target in _links_below(root, ignored) if os.path.exists(f"{root}/{path}")}
    if not found:
        return []
    stores = secret_stores(home)
    links = [
        OutwardLink(
            path=path,
            target=target,
            real=Path(os.path.realpath(f"{root}/{path}")),
            stamp=_stamp(f"{root}/{path}"),
        )
        for path, target in sorted(found.items())
    ]
    environments = _environments_above(root, [link.path for link in links], ignored, tools)
    kinds = {link.path: link.real.is_dir() for link in links}
    travelling = _that_travel(root, kinds, ignored, tools, environments=environments)
    return [
        replace(link, secret=_secret_behind(root, link, stores, ignored, tools))
        for link in links
        if link.path in travelling
    ]


def _links_below(root: Path, ignored: Ignored) -> Iterator[tuple[str, str]]:
    """The links that lead out of the project, in whichever folder that may travel, and their targets.

    Raises UsageError where a path is too long to be looked at from here: rsync looks at it all the same.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name in ignored.names:
                continue
            if len(os.fsencode(entry.path)) >= PATH_LIMIT:
                raise UsageError(
                    f"`{path}` is too long a path to be looked at",
                    hint=f"take it away, or a line with one of its names in {IGNORE_FILE}",
                )
            if entry.is_symlink():
                if is_outward(path, target := os.readlink(entry.path)):
                    yield path, target
            elif entry.is_dir() and not _is_own(path) and entry.name not in ignored.folders:
                folders.append(path)


def _is_own(path: str) -> bool:
    """Whether a folder never travels, whatever the project ignores."""
    name = path.rpartition("/")[2]
    return name == OWN_FOLDER or (name == ".git" and "/" in path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # what can't be looked into does not travel


def _secret_behind(
    root: Path, link: OutwardLink, stores: SecretStores, ignored: Ignored, tools: Tools
) -> Path | None:
    """A store of keys or tokens that would travel through a link: it leads into one, or one is behind it."""
    named = Path(os.path.normpath(os.path.join(root, os.path.dirname(link.path), link.target)))
    if store := stores.holding(link.real) or stores.holding(named):
        return store
    if not link.real.is_dir():
        return None
    below = {
        f"{link.path}/{store.relative_to(link.real)}": store
        for store in stores.below(link.real)
        if store != link.real and store.exists()
    }
    # A link to / has some: nobody waits for a look at all of it. Where these are ignored, others may not be.
    for candidates in (below, None):
        found = dict(_stores_behind(link, stores, ignored)) if candidates is None else candidates
        kinds = {path: store.is_dir() for path, store in found.items()}
        if travelling := _that_travel(root, kinds, ignored, tools):
            return found[min(travelling)]
    return None


def _stores_behind(link: OutwardLink, stores: SecretStores, ignored: Ignored) -> Iterator[tuple[str, Path]]:
    """The stores of keys or tokens in what a link leads to, and in what links in there lead to, by path."""
    last_names = stores.last_names
    seen, folders = {str(link.real)}, [(link.path, str(link.real))]
    while folders:
        folder, real = folders.pop()
        for entry in _entries(Path(real)):
            path, where = f"{folder}/{entry.name}", entry.path
            if entry.name in ignored.names:
                continue
            if is_link := entry.is_symlink():
                if not is_outward(path, os.readlink(where)) or not os.path.exists(where):
                    continue
                where = os.path.realpath(where)
            is_suspect = is_link or entry.name.casefold() in last_names
            if is_suspect and (store := _store_at(Path(where), stores)):
                yield path, store
            elif entry.is_dir() and not _is_own(path) and where not in seen:
                seen.add(where)
                folders.append((path, where))


def _store_at(path: Path, stores: SecretStores) -> Path | None:
    """A store of keys or tokens that holds this path, or that is below it."""
    return stores.holding(path) or next((store for store in stores.below(path) if store.exists()), None)


def _environments_above(root: Path, paths: Iterable[str], ignored: Ignored, tools: Tools) -> set[str]:
    """The environments that hold some of these paths: they never move, and neither do the links in them.

    Where what tells one is a link, it is none: a link that is kept out of the sync tells nothing there. Nor
    is one what only looks like it, a file `conda-meta` or a pipe: a push sees none in it either.
    """
    above = {folder for path in paths for folder in parents(path)}
    markers = {
        f"{folder}/{marker}": os.path.isdir(place)
        for folder in above
        for marker in MARKERS
        if is_marker(place := root / folder / marker) and not place.is_symlink()
    }
    return environments_in(_that_travel(root, markers, ignored, tools))


def _that_travel(
    root: Path,
    paths: Mapping[str, bool],
    ignored: Ignored,
    tools: Tools,
    *,
    environments: Collection[str] = (),
) -> set[str]:
    """Those of these paths that are not ignored nor in these environments, each with whether it is a folder.

    Rsync alone reads its patterns: it is shown a tree of these names, with nothing in it.
    """
    if ignored.all_of_them or not paths:
        outside = (path for path in paths if not {*parents(path), path}.intersection(environments))
        return {path for path in outside if not ignored.names.intersection(path.split("/"))}
    check_tools(["rsync"])
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        tree.mkdir()
        for path, is_folder in paths.items():
            name = tree / path
            (name if is_folder else name.parent).mkdir(parents=True, exist_ok=True)
            if not is_folder:
                name.touch()
        filters = [*filter_argv(root, withheld=False), *environment_filters(environments)]
        return {path for path, _ in listed(tree, filters, tools)}.intersection(paths)


def changed_links(root: Path, links: Iterable[OutwardLink]) -> list[str]:
    """The paths of those links that were touched since they were found, or lead elsewhere."""
    return [
        link.path
        for link in links
        if (os.path.realpath(f"{root}/{link.path}"), _stamp(f"{root}/{link.path}"))
        != (str(link.real), link.stamp)
    ]


def _stamp(path: str) -> tuple[int, int]:
    """The inode of what stands at a path, and when that changed, which nobody can set. Zeros for nothing."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0, 0
    return status.st_ino, status.st_ctime_ns
