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

from ec2tasks.base.errors import Failure
from ec2tasks.remote.folder import ask_tree, shell_argv
from ec2tasks.sync.apply import HINT, Fetching, Item, incoming, look_staged, only_mode, put_in_place
from ec2tasks.sync.entries import Entry, alike, encode, parse_found, parse_inodes
from ec2tasks.sync.progress import bar, shows_bar
from ec2tasks.sync.push import ROUNDS, Way
from ec2tasks.sync.reconcile import Change, Outcome
from ec2tasks.sync.rsync import BROKEN_CODES, COMPARING, Said, failure, left_out, run, vanished
from ec2tasks.sync.scan import look_there

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
    unplaced: list[Failure] = []
    for _ in range(1 if calm else ROUNDS):
        if not waiting:
            break
        said = _transfer(way, waiting)
        now = _look_again(way, waiting, said)
        # What the other side could not open is named; all else came to its end.
        to_its_end = said.complete or said.only(vanished, left_out)
        arrived = _arrived(way, waiting, now, to_its_end=to_its_end)
        unplaced += _place(fetching, [one for one in waiting if one.source in arrived])
        if not said.complete and not said.only(vanished):
            raise failure("pull", said, hint=HINT)
        left = [item for item in waiting if item.source not in arrived]
        fetching.vanished |= any(item.source not in now for item in left)
        waiting = [replace(item, there=now[item.source]) for item in left if item.source in now]
    if unplaced:
        raise _of_all(unplaced)
    if waiting and not calm:
        names = ", ".join(sorted(item.path for item in waiting)[:3])
        raise Failure(f"pull is not complete: {names} changes there all the time", hint=HINT)


def _place(fetching: Fetching, items: list[Item]) -> list[Failure]:
    """Put these in place; those that can't be written here keep nothing else out."""
    failures = []
    for item in sorted(items, key=lambda one: one.path):
        try:
            put_in_place(fetching, _as_arrived(fetching.way, item))
        except Failure as error:
            failures.append(error)
    return failures


def _of_all(failures: list[Failure]) -> Failure:
    first, *more = failures
    return Failure(first.what + (f" (and {len(more)} more)" if more else ""), hint=first.hint)


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
    before = parse_inodes(ask_tree(way.there, way.tools, "look", stdin=wanted))
    time.sleep(0 if calm.last else STILL)
    said = ask_tree(way.there, way.tools, "look", stdin=wanted)
    now, inodes = parse_found(said), parse_inodes(said)
    ready, growing = [], set()
    for item in items:
        entry = item.there if item.behind else now.get(item.source)
        if entry is None:
            continue
        inode = inodes.get(item.source, 0)
        replaced = inode != before.get(item.source)
        is_log = item.source in calm.growing and item.there.size <= entry.size <= LOG_LIMIT
        if entry == item.there or replaced or is_log or calm.last:
            ready.append(replace(item, there=entry, replaced_by=inode if replaced else 0))
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
    _make_room(incoming(way), items)
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


def _make_room(folder: Path, items: Sequence[Item]) -> None:
    """The folder for what arrives, without what an earlier fetch left that is in the way now."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            stale = folder / item.source
            if stale.is_dir() and not stale.is_symlink() and item.there.kind != "d":
                shutil.rmtree(stale)
            elif stale.is_symlink() or (stale.exists() and not _goes_on(stale, item)):
                stale.unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def _goes_on(staged: Path, item: Item) -> bool:
    """Whether rsync can go on with what has arrived of an item."""
    # Half of a version that is replaced by now would pass for a whole one, once nothing is there any more.
    return not item.replaced_by and os.access(staged, os.W_OK)


def _not_written(folder: Path, error: OSError) -> Failure:
    return Failure(f"`{folder}` can't be written: {error.strerror}", hint="free some space")


def drop_staged(way: Way, wanted: Iterable[Item] = ()) -> None:
    """Drop what earlier fetches left behind, but for these: a big file goes on where it was cut.

    Raises Failure where it can't be dropped.
    """
    folder, keep = incoming(way), {item.source for item in wanted}
    try:
        for above, folders, names in os.walk(folder, topdown=False):
            links = (name for name in folders if os.path.islink(os.path.join(above, name)))
            for path in (os.path.join(above, name) for name in (*names, *links)):
                if os.path.relpath(path, folder) not in keep:
                    os.unlink(path)
            with contextlib.suppress(OSError):  # something wanted is in it
                os.rmdir(above)
    except OSError as error:
        raise _not_written(folder, error) from error


def _look_again(way: Way, items: list[Item], said: Said) -> dict[str, Entry]:
    """What stands there now that it has been fetched: what changed meanwhile may have arrived torn."""
    if said.code in BROKEN_CODES:
        # The way there broke: what has arrived with the size and time it had before is whole.
        return {item.source: item.there for item in items}
    return look_there(way.there, [item.source for item in items], way.tools).entries


def _as_arrived(way: Way, item: Item) -> Item:
    """The item, with the one of its versions that has arrived where it is replaced all the time."""
    staged = look_staged(incoming(way), item) if item.replaced_by else None
    return replace(item, there=staged) if staged else item


def _arrived(way: Way, items: list[Item], now: dict[str, Entry], *, to_its_end: bool) -> set[str]:
    """The sources of those that have arrived whole; `to_its_end`: no transfer was cut."""
    torn = _written_since(way, items) if to_its_end else set()
    return {
        one.source
        for one in items
        if one.source not in torn and _is_whole(way, one, now.get(one.source), to_its_end=to_its_end)
    }


def _written_since(way: Way, items: list[Item]) -> set[str]:
    """Those replaced there by a new file that is still being written: no rename of something whole."""
    replaced = {item.source: item for item in items if item.replaced_by}
    if not replaced:
        return set()
    said = ask_tree(way.there, way.tools, "look", stdin=encode(f"./{one}" for one in replaced))
    now, inodes = parse_found(said), parse_inodes(said)
    return {
        source
        for source, item in replaced.items()
        if inodes.get(source) == item.replaced_by and now[source] != item.there
    }


def _is_whole(way: Way, item: Item, now: Entry | None, *, to_its_end: bool) -> bool:
    """Whether all of an item has arrived: rsync sets a file's time once its last byte is here."""
    if item.replaced_by:
        # Any version of it is as good as the one looked at, but its size and time do not tell if it was cut.
        return to_its_end and look_staged(incoming(way), item) is not None
    if now != item.there:
        return False
    if only_mode(item) or item.there.kind == "d":
        return True
    staged = look_staged(incoming(way), item)
    return staged is not None and alike(staged, item.there)
