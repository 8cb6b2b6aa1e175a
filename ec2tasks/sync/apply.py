"""Puts what has arrived from there in its place here, or beside what stands there and must stay.

What is replaced is kept in .ec2tasks/replaced/RUN.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.baseline import Base
from ec2tasks.sync.entries import Entry, Pair, alike, look, parents
from ec2tasks.sync.ignore import DRAFT, beside
from ec2tasks.sync.push import Way

HINT = "`ec2tasks sync --pull` goes on from here"


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something to fetch: where it is there, what stands there, where it goes and what stood here.

    `besides`: it is to arrive under a name of its own beside what is here. `behind`: it is reached there
    through a link that leads out of the project. `replaced_by`: the inode of what has just replaced it as a
    whole there, and may be replaced itself at any moment; 0 where it stands still.
    """

    source: str
    path: str
    there: Entry
    here: Entry | None
    reason: str
    besides: bool = False
    behind: bool = False
    replaced_by: int = 0


@dataclass(kw_only=True)
class Fetching:
    """A fetch as it goes: the base it settles, and by path what is to be said of what arrived beside it.

    `vanished`: something went away there while it was fetched.
    """

    way: Way
    base: Base
    besides: dict[str, str] = field(default_factory=dict)
    vanished: bool = False


def incoming(way: Way) -> Path:
    """Where what arrives waits until it is whole."""
    return way.root / OWN_FOLDER / "incoming"


def only_mode(item: Item) -> bool:
    """Whether nothing but its mode was changed there."""
    return (
        item.here is not None
        and not item.besides
        and item.here.mode != item.there.mode
        and item.here == item.there._replace(mode=item.here.mode)
    )


def look_staged(folder: Path, item: Item) -> Entry | None:
    """What has arrived of an item."""
    try:
        if item.there.kind == "l":
            return Entry("l", target=os.readlink(folder / item.source))
        return look(folder, item.source)
    except OSError:
        return None


def put_in_place(fetching: Fetching, item: Item) -> None:
    """Put one thing in its place here, or beside what must not be replaced, and settle it."""
    way = fetching.way
    try:
        own = way.root / item.path
        now = look(way.root, item.path)
        disputed = item.besides or (now != item.here and not (now and alike(now, item.there)))
        name = _above(way.root, item) or (item.path if disputed else _obstacle(way.root, item, now))
        if only_mode(item) and (disputed or name is not None):
            # There is nothing to put anywhere: behind a link the mode stays, else it is for the next time.
            if not disputed:
                fetching.base.settle(item.path, Pair(now, item.there))
            return
        ending = "" if name is None else _ending(way, name, item)
        target = own if name is None else way.root / (beside(name, ending) + item.path.removeprefix(name))
        arrived = _put(way, item, target)
    except OSError as error:
        raise Failure(
            f"pull is not complete: `{item.path}` can't be written here: {error.strerror}", hint=HINT
        ) from error
    if name is not None:
        why = "was changed here and there" if disputed else "stays as it is here"
        fetching.besides[name] = f"`{name}` {why}: the instance's version is `{beside(name, ending)}`"
    # What is disputed is settled on the instance's version: yours is a change of it for the next push.
    here = item.there if disputed else now if name is not None else arrived
    fetching.base.settle(item.path, Pair(here, item.there))
    if way.verbose:
        output.step(f"pull {target.relative_to(way.root)} ({item.reason})")


def _above(root: Path, item: Item) -> str | None:
    """The link or file above, through which nothing is put anywhere."""
    for name in parents(item.path):
        if _is_no_folder(root / name):
            return name
    return None


def _obstacle(root: Path, item: Item, now: Entry | None) -> str | None:
    """What is in the way here and must stay: a link that leads out, a full folder."""
    full = root / item.path
    leads_out = full.is_symlink() and now is not None and now.kind != "l"
    in_use = now is not None and now.kind == "d" != item.there.kind and not leads_out and any(full.iterdir())
    return item.path if leads_out or in_use else None


def _ending(way: Way, name: str, item: Item) -> str:
    """What the name beside ends in: the run, and a number where that is taken by something else already."""
    if item.path != name or item.there.kind == "d":
        return way.job_id
    for ending in (way.job_id, *(f"{way.job_id}.{number}" for number in range(2, 1000))):
        there = look(way.root, beside(name, ending))
        if there is None or alike(there, item.there):
            return ending
    return way.job_id


def _put(way: Way, item: Item, target: Path) -> Entry:
    """Put it there; what stands there then."""
    if item.there.kind == "d":
        return _make_folder(way, item, target)
    if only_mode(item) and target == way.root / item.path:
        target.chmod(item.there.mode)
        return item.there
    staged = look_staged(incoming(way), item)
    assert staged is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    _keep_replaced(way, target)
    _move(incoming(way) / item.source, target)
    return staged


def _make_folder(way: Way, item: Item, target: Path) -> Entry:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        _keep_replaced(way, target)
        target.unlink()
    target.mkdir(parents=True, exist_ok=True)
    # A folder that nobody may write would keep out what belongs into it.
    mode = item.there.mode | 0o700
    target.chmod(mode)
    return Entry("d", mode)


def _keep_replaced(way: Way, target: Path) -> None:
    """Keep what stands in a place, as it was when this run first replaced it."""
    if not os.path.lexists(target) or f".ec2-{way.job_id}" in str(target):
        return
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
        return
    kept = _kept_at(way, str(target.relative_to(way.root)))
    if kept is None:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, kept, follow_symlinks=False)
    except OSError:
        shutil.copy2(target, kept, follow_symlinks=False)


def _kept_at(way: Way, path: str) -> Path | None:
    """Where to keep what stands at a path, beside what else stood there in this run.

    None if it is kept already.
    """
    for number in itertools.count():
        folder = way.root / way.replaced_in(number)
        if _is_no_folder(folder / path):
            return None
        if not os.path.lexists(folder / path) and not any(
            _is_no_folder(folder / one) for one in parents(path)
        ):
            return folder / path
    raise AssertionError("there is always another number")


def _is_no_folder(path: Path) -> bool:
    """Whether something else than a folder is there."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _move(staged: Path, target: Path) -> None:
    """Put it under its name in one step, also from another file system."""
    try:
        staged.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(target.name + DRAFT)
        shutil.copy2(staged, draft, follow_symlinks=False)
        draft.replace(target)
        staged.unlink()


def adopt_time(root: Path, path: str, here: Entry, there: Entry) -> Entry:
    """Give a file here the time of the same content there; what stands here then.

    Theirs is the one to have: what was made of it there is newer, and so it is for make here.
    """
    if here.kind != "f" or here.mtime == there.mtime:
        return here
    with contextlib.suppress(OSError):
        if look(root, path) == here:
            os.utime(root / path, ns=(there.mtime, there.mtime))
            return look(root, path) or here
    return here
