"""From there to here: fetched into .ec2tasks/incoming/, put in place only once it is whole.

What is replaced here is kept in .ec2tasks/replaced/RUN; what was changed here meanwhile stays, and the
instance's version is put beside it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ec2tasks import report
from ec2tasks.compare import look_there
from ec2tasks.errors import Failure
from ec2tasks.ignored import DRAFT, beside
from ec2tasks.manifest import OWN_FOLDER, Base
from ec2tasks.merge import Change, Outcome
from ec2tasks.outgoing import ROUNDS, Way
from ec2tasks.progress import bar, shows_bar
from ec2tasks.rsync import BROKEN, COMPARING, Said, failure, run, shell_argv
from ec2tasks.tree import Entry, Pair, alike, encode, look, parents

HINT = "`ec2tasks sync --pull` goes on from here"
STILL = 2.0  # seconds for which a file must stand still to be fetched while a command runs


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something to fetch: where it is there, what stands there, where it goes and what stood here.

    `besides`: it is to arrive under a name of its own beside what is here. `behind`: it is reached there
    through a link that leads out of the project.
    """

    source: str
    path: str
    there: Entry
    here: Entry | None
    reason: str
    besides: bool = False
    behind: bool = False


def items_for(changes: Iterable[Change], behind: Container[str]) -> list[Item]:
    """What these changes ask to be fetched."""
    return [
        Item(
            source=one.path,
            path=one.path,
            there=one.there,
            here=one.here,
            reason=one.reason,
            besides=one.outcome is Outcome.CONFLICT,
            behind=one.path in behind,
        )
        for one in changes
        if one.there is not None and one.outcome in (Outcome.PULL, Outcome.CONFLICT)
    ]


@dataclass(kw_only=True)
class Fetching:
    """A fetch as it goes: the base it settles, and by path the names under which things arrived beside."""

    way: Way
    base: Base
    besides: dict[str, str] = field(default_factory=dict)


def fetch(fetching: Fetching, items: list[Item], *, calm: bool = False) -> None:
    """Fetch these, and put in place what arrived whole, even where the rest did not.

    `calm`: a command is running; what changes is left for the next time instead of tried again. Raises
    Failure where the transfer broke, or something never stood still; what arrived whole is in place.
    """
    way = fetching.way
    waiting = _standing_still(way, items) if calm and items else items
    for _ in range(1 if calm else ROUNDS):
        if not waiting:
            break
        said = _transfer(way, waiting)
        now = _look_again(way, waiting, said)
        arrived = {one.source for one in waiting if _is_whole(way, one, now.get(one.source))}
        for item in sorted(waiting, key=lambda one: one.path):
            if item.source in arrived:
                _put_in_place(fetching, item)
        if not said.complete:
            raise failure("pull", said, hint=HINT)
        left = (item for item in waiting if item.source not in arrived)
        waiting = [replace(item, there=now[item.source]) for item in left if item.source in now]
    if waiting and not calm:
        names = ", ".join(sorted(item.path for item in waiting)[:3])
        raise Failure(f"pull is not complete: {names} changes there all the time", hint=HINT)
    shutil.rmtree(_incoming(way), ignore_errors=True)


def _incoming(way: Way) -> Path:
    return way.root / OWN_FOLDER / "incoming"


def _standing_still(way: Way, items: list[Item]) -> list[Item]:
    """Those that did not change for a moment: nobody is writing them."""
    time.sleep(STILL)
    now, _ = look_there(way.there, [item.source for item in items], way.tools)
    return [item for item in items if now.get(item.source) == item.there]


def fetch_argv(way: Way, *, behind: bool, progress: bool) -> list[str]:
    """The rsync that fetches into the folder for what arrives. A big file goes on where it was cut."""
    return [
        "rsync",
        *COMPARING,
        *(["--copy-links"] if behind else []),
        "--8-bit-output",
        "--inplace",
        "--partial",
        f"--copy-dest={way.root.absolute()}",
        "--no-implied-dirs",
        "--from0",
        "--files-from=-",
        *(["--info=progress2", "--no-inc-recursive", "--outbuf=L"] if progress else []),
        # Beside a running command, as little in its way as can be.
        *(["--rsync-path=nice -n 19 rsync"] if way.quiet else []),
        *shell_argv(way.there),
        "--",
        way.there.end,
        f"{_incoming(way)}/",
    ]


def _transfer(way: Way, items: list[Item]) -> Said:
    _make_room(_incoming(way), items)
    # What has a mode alone to change needs no transfer.
    wanted = [item for item in items if not _only_mode(item)]
    total = sum(item.there.size for item in wanted)
    progress = not way.quiet and not way.verbose and shows_bar(total)
    said = Said(code=0, errors="")
    with bar("pull", total) if progress else contextlib.nullcontext(_ignore) as moved:
        for behind in (False, True):
            sources = [item.source for item in wanted if item.behind is behind]
            if sources and said.complete:
                argv = fetch_argv(way, behind=behind, progress=progress)
                said = run(argv, way.tools, stdin=encode(sources), on_bytes=moved)
    return said


def _ignore(_count: int) -> None:
    pass


def _make_room(incoming: Path, items: Iterable[Item]) -> None:
    """The folder for what arrives, without what an earlier fetch left that is in the way now."""
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        for item in items:
            stale = incoming / item.source
            if stale.is_dir() and not stale.is_symlink() and item.there.kind != "d":
                shutil.rmtree(stale)
            elif stale.is_symlink() or (stale.exists() and not os.access(stale, os.W_OK)):
                stale.unlink()
    except OSError as error:
        raise Failure(f"`{incoming}` can't be written: {error.strerror}", hint="free some space") from error


def _only_mode(item: Item) -> bool:
    return (
        item.here is not None
        and not item.besides
        and item.here.mode != item.there.mode
        and item.here == item.there._replace(mode=item.here.mode)
    )


def _look_again(way: Way, items: list[Item], said: Said) -> dict[str, Entry]:
    """What stands there now that it has been fetched: what changed meanwhile may have arrived torn."""
    if said.code in BROKEN:
        # The way there broke: what has arrived with the size and time it had before is whole.
        return {item.source: item.there for item in items}
    return look_there(way.there, [item.source for item in items], way.tools)[0]


def _is_whole(way: Way, item: Item, now: Entry | None) -> bool:
    if now != item.there:
        return False
    if _only_mode(item) or item.there.kind == "d":
        return True
    staged = _look_staged(_incoming(way), item)
    return staged is not None and alike(staged, item.there)


def _look_staged(incoming: Path, item: Item) -> Entry | None:
    try:
        if item.there.kind == "l":
            return Entry("l", target=os.readlink(incoming / item.source))
        return look(incoming, item.source)
    except OSError:
        return None


def _put_in_place(fetching: Fetching, item: Item) -> None:
    """Put one thing in its place here, or beside what must not be replaced, and settle it."""
    way = fetching.way
    try:
        own = way.root / item.path
        now = look(way.root, item.path)
        disputed = item.besides or (now != item.here and not (now and alike(now, item.there)))
        name = item.path if disputed else _obstacle(way.root, item, now)
        target = own if name is None else _beside(way.root, name, item.path, way.run_id)
        arrived = _put(way, item, target)
    except OSError as error:
        raise Failure(
            f"pull is not complete: `{item.path}` can't be written here: {error.strerror}", hint=HINT
        ) from error
    if name is not None:
        fetching.besides[name] = beside(name, way.run_id)
    # What is disputed is settled on the instance's version: yours is a change of it for the next push.
    here = item.there if disputed else now if name is not None else arrived
    fetching.base.settle(item.path, Pair(here, item.there))
    if way.verbose:
        report.step(f"pull {target.relative_to(way.root)} ({item.reason})")


def _obstacle(root: Path, item: Item, now: Entry | None) -> str | None:
    """What is in the way here and must stay: a link or file above, a link that leads out, a full folder."""
    for name in parents(item.path):
        above = root / name
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            return name
    full = root / item.path
    leads_out = full.is_symlink() and now is not None and now.kind != "l"
    in_use = now is not None and now.kind == "d" != item.there.kind and not leads_out and any(full.iterdir())
    return item.path if leads_out or in_use else None


def _beside(root: Path, name: str, path: str, run_id: str) -> Path:
    """The place beside `name` for `path`, which is that or below it."""
    return root / (beside(name, run_id) + path.removeprefix(name))


def _put(way: Way, item: Item, target: Path) -> Entry:
    """Put it there; what stands there then."""
    if item.there.kind == "d":
        return _make_folder(way, item, target)
    if _only_mode(item) and target == way.root / item.path:
        target.chmod(item.there.mode)
        return item.there
    staged = _look_staged(_incoming(way), item)
    assert staged is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    _keep_replaced(way, target)
    _move(_incoming(way) / item.source, target)
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
    if not os.path.lexists(target) or f".ec2-{way.run_id}" in str(target):
        return
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
        return
    kept = way.root / way.replaced / target.relative_to(way.root)
    if os.path.lexists(kept):
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, kept, follow_symlinks=False)
    except OSError:
        shutil.copy2(target, kept, follow_symlinks=False)


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
