"""From there to here: fetched into .ec2tasks/incoming/, put in place only once it is whole.

What is replaced here is kept in .ec2tasks/replaced/RUN; what was changed here meanwhile stays, and the
instance's version is put beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ec2tasks.compare import look_there
from ec2tasks.errors import Failure
from ec2tasks.merge import Change, Outcome
from ec2tasks.outgoing import ROUNDS, Way
from ec2tasks.placing import HINT, Fetching, Item, incoming, look_staged, only_mode, put_in_place
from ec2tasks.progress import bar, shows_bar
from ec2tasks.rsync import BROKEN_CODES, COMPARING, Said, failure, run, vanished
from ec2tasks.there import ask_there, shell_argv
from ec2tasks.tree import Entry, alike, encode, parse_found, parse_inodes

STILL = 2.0  # seconds for which a file must stand still to be fetched while a command runs
LOG_LIMIT = 64_000_000  # bytes up to which a file that grows is taken for a log


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


def fetch(fetching: Fetching, items: list[Item], *, calm: Calm | None = None) -> None:
    """Fetch these, and put in place what arrived whole, even where the rest did not.

    `calm`: a command is running; what changes is left for the next time instead of tried again. Raises
    Failure where the transfer broke, or something never stood still; what arrived whole is in place.
    """
    way = fetching.way
    waiting = _ready(way, items, calm) if calm and items else items
    for _ in range(1 if calm else ROUNDS):
        if not waiting:
            break
        said = _transfer(way, waiting)
        now = _look_again(way, waiting, said)
        arrived = {one.source for one in waiting if _is_whole(way, one, now.get(one.source))}
        for item in sorted(waiting, key=lambda one: one.path):
            if item.source in arrived:
                put_in_place(fetching, _as_arrived(way, item))
        if not said.complete and not said.only(vanished):
            raise failure("pull", said, hint=HINT)
        left = [item for item in waiting if item.source not in arrived]
        fetching.vanished |= any(item.source not in now for item in left)
        waiting = [replace(item, there=now[item.source]) for item in left if item.source in now]
    if waiting and not calm:
        names = ", ".join(sorted(item.path for item in waiting)[:3])
        raise Failure(f"pull is not complete: {names} changes there all the time", hint=HINT)
    shutil.rmtree(incoming(way), ignore_errors=True)


@dataclass(kw_only=True)
class Calm:
    """Fetching beside a running command: which files grew the last time, and whether it is the last."""

    growing: set[str] = field(default_factory=set)
    last: bool = False


def _ready(way: Way, items: list[Item], calm: Calm) -> list[Item]:
    """Those that are no half of what is being written, as they stand now.

    A file that stands still for a moment, one that was replaced as a whole meanwhile, and one that has been
    growing since the last time, as a log does.
    """
    wanted = encode(f"./{item.source}" for item in items)
    before = parse_inodes(ask_there(way.there, way.tools, "look", stdin=wanted))
    time.sleep(0 if calm.last else STILL)
    said = ask_there(way.there, way.tools, "look", stdin=wanted)
    now, inodes = parse_found(said), parse_inodes(said)
    ready, growing = [], set()
    for item in items:
        entry = item.there if item.behind else now.get(item.source)
        if entry is None:
            continue
        replaced = inodes.get(item.source) != before.get(item.source)
        is_log = item.source in calm.growing and item.there.size <= entry.size <= LOG_LIMIT
        if entry == item.there or replaced or is_log or calm.last:
            ready.append(replace(item, there=entry, atomic=replaced))
        if entry != item.there and not replaced:
            growing.add(item.source)
    calm.growing = growing
    return ready


def fetch_argv(way: Way, *, behind: bool, progress: bool) -> list[str]:
    """The rsync that fetches into the folder for what arrives. A big file goes on where it was cut."""
    return [
        "rsync",
        *COMPARING,
        *(["--copy-links"] if behind else []),
        "--8-bit-output",
        "--inplace",
        "--partial",
        # What is put into a folder must be able to leave it again.
        "--chmod=Du+rwx,ug-s",
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
        f"{incoming(way)}/",
    ]


def _transfer(way: Way, items: list[Item]) -> Said:
    _make_room(incoming(way), items, whole=not way.quiet)
    # What has a mode alone to change needs no transfer.
    wanted = [item for item in items if not only_mode(item)]
    total = sum(item.there.size for item in wanted)
    progress = not way.quiet and not way.verbose and shows_bar(total)
    said = Said(code=0, errors="")
    with bar("pull", total) if progress else contextlib.nullcontext(_ignore) as moved:
        for behind in (False, True):
            sources = [item.source for item in wanted if item.behind is behind]
            if sources and said.complete:
                argv = fetch_argv(way, behind=behind, progress=progress)
                said = run(argv, way.tools, stdin=encode(f"./{one}" for one in sources), on_bytes=moved)
    return said


def _ignore(_count: int) -> None:
    pass


def _make_room(folder: Path, items: Sequence[Item], *, whole: bool) -> None:
    """The folder for what arrives, without what an earlier fetch left that is in the way now.

    `whole`: these are all that there is to fetch, and anything else in it only takes up space.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if whole:
            _clear(folder, {item.source for item in items})
        for item in items:
            stale = folder / item.source
            if stale.is_dir() and not stale.is_symlink() and item.there.kind != "d":
                shutil.rmtree(stale)
            elif stale.is_symlink() or (stale.exists() and not os.access(stale, os.W_OK)):
                stale.unlink()
    except OSError as error:
        raise Failure(f"`{folder}` can't be written: {error.strerror}", hint="free some space") from error


def _clear(folder: Path, wanted: set[str]) -> None:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above) / name
            if str(path.relative_to(folder)) not in wanted:
                path.unlink()


def _look_again(way: Way, items: list[Item], said: Said) -> dict[str, Entry]:
    """What stands there now that it has been fetched: what changed meanwhile may have arrived torn."""
    if said.code in BROKEN_CODES:
        # The way there broke: what has arrived with the size and time it had before is whole.
        return {item.source: item.there for item in items}
    return look_there(way.there, [item.source for item in items], way.tools).entries


def _as_arrived(way: Way, item: Item) -> Item:
    """The item, with the one of its versions that has arrived where it is replaced all the time."""
    staged = look_staged(incoming(way), item) if item.atomic else None
    return replace(item, there=staged) if staged else item


def _is_whole(way: Way, item: Item, now: Entry | None) -> bool:
    if item.atomic:
        return look_staged(incoming(way), item) is not None
    if now != item.there:
        return False
    if only_mode(item) or item.there.kind == "d":
        return True
    staged = look_staged(incoming(way), item)
    return staged is not None and alike(staged, item.there)
