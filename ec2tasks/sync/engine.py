"""The project's files, there and back: compared with what both sides last agreed on, moved, settled.

docs/sync.md says what becomes of a file in every case.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ec2tasks.base import output
from ec2tasks.base import project_dir as own_folder
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree
from ec2tasks.sync import baseline as manifest
from ec2tasks.sync.apply import HINT, Fetching, Item, adopt_time
from ec2tasks.sync.baseline import Base
from ec2tasks.sync.entries import NOTHING, Entry, Pair, look, parents, total_size
from ec2tasks.sync.ignore import beside, filter_argv, say_default_ignored
from ec2tasks.sync.progress import WORTH_A_WORD, biggest, shows_bar, size_text
from ec2tasks.sync.pull import Calm, drop_staged, fetch, items_for
from ec2tasks.sync.push import (
    ROUNDS,
    Expected,
    Way,
    delete_there,
    first_push,
    listed,
    push,
    say_left_out,
    surprises,
)
from ec2tasks.sync.reconcile import Change, Outcome
from ec2tasks.sync.rsync import run
from ec2tasks.sync.scan import Comparison, Found, Listing, compare, kind

Result = TypeVar("Result")
KEPT_REPLACED = 10  # runs whose replaced files are kept


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Which ways the files move in one sync; `calm`: beside a running command, in silence."""

    push: bool = False
    pull: bool = False
    verbose: bool = False
    calm: Calm | None = None

    @property
    def verb(self) -> str:
        """The word for it where it fails."""
        return "push" if self.push else "pull"


def move(root: Path, there: RemoteFolder, job_id: str, tools: Tools, moves: Moves) -> None:
    """Move the project's files. Raises Failure where not everything arrived; what arrived stays."""
    way = Way(
        root=root,
        there=there,
        job_id=job_id,
        tools=tools,
        verbose=moves.verbose,
        quiet=moves.calm is not None,
    )
    _on_base(way, lambda now, base: _move(now, base, moves))


def _on_base(way: Way, act: Callable[[Way, Base], Result]) -> Result:
    """Do something on what is kept; where that turns out to be damaged, once more, on nothing."""
    with own_folder.locked(way.root) as lock:
        # An rsync that outlives us keeps the next sync waiting: it may still be writing.
        way = replace(way, tools=replace(way.tools, held=(lock,)))
        if way.there.empty:
            # Another client may have filled it while this one waited for its turn.
            still = ask_tree(way.there, way.tools, "is_empty") == b"yes"
            way = replace(way, there=replace(way.there, empty=still))
        # A folder that was taken away there is no wish to have everything gone.
        kept = partial(manifest.kept, way.root, way.there.instance_id, way.there.path, filter_argv(way.root))
        try:
            with kept(forget=way.there.empty) as base:
                return act(way, base)
        except manifest.DamagedError:
            with kept(forget=False) as base:
                return act(way, base)


def _move(way: Way, base: Base, moves: Moves) -> None:
    root, there, tools = way.root, way.there, way.tools
    if moves.push and there.empty:
        say_default_ignored(root)
        if first_push(way, base, _weigh(root, tools)):
            return
        base.save(whole=False)
    for _ in range(ROUNDS):
        found = compare(root, there, base, tools, verb=moves.verb, thorough=moves.pull)
        if found.changes:
            base.note((one.path, one.here) for one in _to_send(found.changes) if one.here)
        vanished = _carry_out(way, base, found, moves)
        if not vanished or not moves.pull or moves.calm:
            break
    if moves.pull and not moves.calm:
        _check_whole(found, vanished=vanished)


def _check_whole(found: Comparison, *, vanished: bool) -> None:
    """Raise Failure where something there could not be fetched, now that the rest has been."""
    if found.closed:
        names = listed(sorted(set(found.closed)))
        raise Failure(
            f"pull is not complete: {names}",
            hint="make it readable there (`ec2tasks shell`), or out of the way here",
        )
    if vanished:
        raise Failure("pull is not complete: files are renamed there all the time", hint=HINT)


def _carry_out(way: Way, base: Base, found: Comparison, moves: Moves) -> bool:
    """Do what the comparison asks for; whether something went away meanwhile."""
    if moves.push:
        say_default_ignored(way.root)
        say_left_out(way.root, [*found.left_out, *found.closed])
    fetching = Fetching(way=way, base=base)
    drop_staged(way, items_for(found.changes, found.there.behind))
    try:
        if moves.push:
            _push(way, base, found, fetching)
        if moves.pull:
            fetch(fetching, _still_to_fetch(way, found, moves), calm=moves.calm)
            prune_replaced(way.root, way.job_id)
            if not moves.calm:
                drop_staged(way)
        _settle_the_rest(way.root, base, found.changes, keeps=moves.calm is None)
    finally:
        _say_besides(fetching.besides)
    if not moves.calm:
        _say_kept([one.path for one in found.changes if one.outcome is Outcome.KEEP])
    return found.vanished or fetching.vanished


def _push(way: Way, base: Base, found: Comparison, fetching: Fetching) -> None:
    changes = found.changes
    conflicts = [one for one in changes if one.outcome is Outcome.CONFLICT]
    # Theirs comes first: what yours replaces there is here by then.
    fetch(fetching, items_for(conflicts, found.there.behind))
    to_send = _settle_linked(base, _to_send(changes), found.there)
    _say_biggest({one.path: one.here for one in to_send if one.here})
    replaced: Expected = {}
    try:
        blocked = _make_way(way, base, found, to_send, replaced)
        sent = [one for one in to_send if one.path not in blocked]
        if sent:
            push(way, sent, base, replaced)
    finally:
        _fetch_surprises(fetching, replaced)


def _to_send(changes: Iterable[Change]) -> list[Change]:
    """What is to go there, by path."""
    wanted = [one for one in changes if one.outcome in (Outcome.PUSH, Outcome.CONFLICT)]
    return sorted((one for one in wanted if kind(one.here) not in ("", "o")), key=lambda one: one.path)


def _settle_linked(base: Base, to_send: list[Change], there: Found) -> list[Change]:
    """Settle the folders in whose place a link there leads to one: it stays. The others come out."""
    linked = [one for one in to_send if one.path in there.links and kind(one.here) == kind(one.there) == "d"]
    for one in linked:
        base.settle(one.path, Pair(one.here, one.there))
    return [one for one in to_send if one not in linked]


def _make_way(way: Way, base: Base, found: Comparison, to_send: list[Change], replaced: Expected) -> set[str]:
    """Delete there what was deleted here and what is in the way; what can't be sent even so comes out."""
    deleted = [one for one in found.changes if one.outcome is Outcome.DELETE]
    obstacles = [one.path for one in to_send if kind(one.there) == "d" != kind(one.here)]
    replaced |= {
        f"{way.replaced}/{one.path}": (one.path, one.there) for one in deleted if kind(one.there) != "d"
    }
    stayed = delete_there(way, deleted, obstacles, found.there)
    behind = found.there.behind - found.there.links
    for one in deleted:
        # What stays: a folder with files of its own there, what is behind a link there.
        stays = one.path in stayed or (one.path in behind and not _link_goes(one.path, found))
        base.settle(one.path, Pair(None, one.there) if stays else NOTHING)
    blocked = (stayed & set(obstacles)) | _without_folder(to_send, found.there)
    for one in to_send:
        if one.path in blocked:
            base.settle(one.path, Pair(one.here, one.there, apart=True))
            output.warning(f"`{one.path}` stays here alone: something else is in its place there")
    return blocked


def _link_goes(path: str, found: Comparison) -> bool:
    """Whether the link there that leads to a path is itself deleted."""
    deleted = {one.path for one in found.changes if one.outcome is Outcome.DELETE}
    return any(above in found.there.links and above in deleted for above in parents(path))


def _without_folder(to_send: list[Change], there: Found) -> set[str]:
    """Those whose folder is no folder there, or one behind a link, and does not become one by this push."""
    sent = {one.path for one in to_send}
    in_the_way = {path for path, one in there.entries.items() if one.kind != "d" and path not in sent}
    in_the_way |= there.links
    return {path for path in sent if any(above in in_the_way for above in parents(path))}


def _fetch_surprises(fetching: Fetching, replaced: Expected) -> None:
    """Bring home what was replaced or deleted there although it had changed since it was compared."""
    way = fetching.way
    items = [
        Item(
            source=copy,
            path=path,
            there=entry,
            here=None,
            reason="changed there while yours was sent",
            besides=True,
        )
        for copy, (path, entry) in surprises(way, replaced).items()
    ]
    # Yours is there by now: what both agree on stays.
    agreed = {item.path: fetching.base[item.path] for item in items}
    fetch(fetching, items)
    for path, pair in agreed.items():
        fetching.base.settle(path, pair)


def _still_to_fetch(way: Way, found: Comparison, moves: Moves) -> list[Item]:
    """What is to be fetched and was not yet. Beside a running command, one version beside yours is enough."""
    items = items_for(found.changes, found.there.behind)
    if moves.calm:
        return [
            one for one in items if not one.besides or not (way.root / beside(one.path, way.job_id)).exists()
        ]
    return [one for one in items if not one.besides or not moves.push]


def _settle_the_rest(root: Path, base: Base, changes: Iterable[Change], *, keeps: bool) -> None:
    """Settle what needs no moving; what is kept here only where that is said (`keeps`)."""
    for one in changes:
        if one.outcome is Outcome.AGREE and one.here and one.there:
            base.settle(one.path, Pair(adopt_time(root, one.path, one.here, one.there), one.there))
        elif one.outcome is Outcome.FORGET:
            base.settle(one.path, NOTHING)
        elif keeps and one.outcome is Outcome.KEEP:
            base.settle(one.path, Pair(one.here, None))


def _say_besides(besides: dict[str, str]) -> None:
    for _, words in sorted(besides.items()):
        output.warning(words)


def _say_kept(paths: list[str]) -> None:
    if paths:
        output.step(f"deleted there, kept here: {listed(paths)}")


def _say_biggest(entries: dict[str, Entry]) -> None:
    total = total_size(entries)
    if total < WORTH_A_WORD:
        return
    items = biggest(entries)
    named = ", ".join(f"{name} ({size_text(size)})" for name, size in items)
    output.step(f"{size_text(total)} to push; the biggest: {named}")
    output.hint(f"a line `/{items[0][0]}` in .rsyncignore keeps that one here")


def _weigh(root: Path, tools: Tools) -> int:
    """The bytes of a first push, where that matters: for the bar, or for naming the biggest items."""
    said = tools.capture(["du", "-sk", f"{root}"], timeout=60).stdout.split()
    most = int(said[0]) * 1024 if said and said[0].isdigit() else WORTH_A_WORD
    if most < WORTH_A_WORD and not shows_bar(most):
        return 0
    entries = list_here(root, tools)
    _say_biggest(entries)
    return total_size(entries)


def list_here(root: Path, tools: Tools) -> dict[str, Entry]:
    """All files that would travel from here, by rsync's own reading of the patterns."""
    listing = Listing(full=True)
    with tempfile.TemporaryDirectory() as nothing:
        argv = ["rsync", "--dry-run", "--recursive", "--links", "--copy-unsafe-links", "--8-bit-output"]
        argv += ["--out-format=%i %n", *filter_argv(root), "--", f"{root}/", f"{nothing}/"]
        run(argv, tools, on_line=listing.add)
    found = ((path, look(root, path)) for path in listing.differing)
    return {path: entry for path, entry in found if entry and entry.kind == "f"}


def differences(root: Path, there: RemoteFolder, tools: Tools) -> list[Change]:
    """What a sync would do, without doing it."""
    way = Way(root=root, there=there, job_id="", tools=tools)
    found = _on_base(
        way, lambda now, base: compare(root, now.there, base, now.tools, verb="push", thorough=True)
    )
    return [one for one in found.changes if one.outcome not in (Outcome.AGREE, Outcome.FORGET)]


def prune_replaced(root: Path, job_id: str) -> None:
    """Keep the replaced files of this run and of those before it that replaced something last."""
    folder = root / own_folder.OWN_FOLDER / "replaced"
    # By the time of the folder: the names tell what the clocks of several machines said.
    found = sorted(folder.iterdir(), key=lambda one: one.lstat().st_mtime_ns) if folder.is_dir() else []
    earlier = [one for one in found if not one.name.startswith(job_id)]
    for old in earlier[: max(0, len(found) - KEPT_REPLACED)]:
        shutil.rmtree(old, ignore_errors=True)
