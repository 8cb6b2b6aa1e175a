"""The project's files, there and back: compared with what both sides last agreed on, moved, settled.

docs/sync.md says what becomes of a file in every case.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ec2tasks import manifest, report
from ec2tasks.compare import Comparison, Listing, compare, kind
from ec2tasks.ignored import filter_argv, say_default_ignored
from ec2tasks.incoming import Calm, fetch, items_for
from ec2tasks.manifest import Base
from ec2tasks.merge import Change, Outcome, settle
from ec2tasks.outgoing import Way, delete_there, first_push, listed, push, say_left_out, surprises
from ec2tasks.placing import Fetching, Item, adopt_time
from ec2tasks.process import Tools
from ec2tasks.progress import WORTH_A_WORD, biggest, shows_bar, size_text
from ec2tasks.rsync import There, run
from ec2tasks.tree import NOTHING, Entry, Pair, look, parents, total_size

KEPT_REPLACED = 10  # runs whose replaced files are kept


class Direction(Enum):
    """Which way the files move; the value is the word shown."""

    PUSH = "push"
    PULL = "pull"


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


def move(root: Path, there: There, run_id: str, tools: Tools, moves: Moves) -> None:
    """Move the project's files. Raises Failure where not everything arrived; what arrived stays."""
    with manifest.locked(root), _base(root, there) as base:
        way = Way(
            root=root,
            there=there,
            run_id=run_id,
            tools=tools,
            verbose=moves.verbose,
            quiet=moves.calm is not None,
        )
        if moves.push and there.empty:
            say_default_ignored(root)
            if first_push(way, base, _weigh(root, tools)):
                return
            base.save(whole=False)
        found = compare(root, there, base, tools, verb=moves.verb, thorough=moves.pull)
        if found.changes:
            base.mark_moving()
        _carry_out(way, base, found, moves)


def _base(root: Path, there: There) -> AbstractContextManager[manifest.Base]:
    # A folder that was taken away there is no wish to have everything gone.
    return manifest.kept(root, there.instance_id, filter_argv(root), forget=there.empty)


def _carry_out(way: Way, base: Base, found: Comparison, moves: Moves) -> None:
    if moves.push:
        say_default_ignored(way.root)
        say_left_out(way.root, found.left_out)
    fetching = Fetching(way=way, base=base)
    try:
        if moves.push:
            _push(way, base, found, fetching)
        if moves.pull:
            fetch(fetching, _still_to_fetch(found, pushed=moves.push), calm=moves.calm)
            prune_replaced(way.root)
        _settle_the_rest(way.root, base, found.changes)
    finally:
        _say_besides(fetching.besides)
    if not moves.calm:
        _say_kept([one.path for one in found.changes if one.outcome is Outcome.KEEP])


def _push(way: Way, base: Base, found: Comparison, fetching: Fetching) -> None:
    changes = found.changes
    conflicts = [one for one in changes if one.outcome is Outcome.CONFLICT]
    # Theirs comes first: what yours replaces there is here by then.
    fetch(fetching, items_for(conflicts, found.behind))
    to_send = [one for one in changes if one.outcome in (Outcome.PUSH, Outcome.CONFLICT) and one.here]
    obstacles = [one.path for one in to_send if kind(one.there) == "d" != kind(one.here)]
    to_send = sorted(to_send, key=lambda one: one.path)
    _say_biggest({one.path: one.here for one in to_send if one.here})
    stayed = delete_there(way, changes, obstacles)
    for one in changes:
        if one.outcome is Outcome.DELETE:
            # A folder with files of its own there stays, until it is changed.
            base.settle(one.path, Pair(None, one.there) if one.path in stayed else NOTHING)
    blocked = (stayed & set(obstacles)) | _without_folder(to_send, found.there)
    for one in to_send:
        if one.path in blocked:
            base.settle(one.path, Pair(one.here, one.there))
            report.warning(
                f"`{one.path}` has no place there: what stands in its way stays, and so does yours here"
            )
    sent = [one for one in to_send if one.path not in blocked]
    if sent:
        push(way, sent, base)
        _fetch_surprises(fetching, sent)


def _without_folder(to_send: list[Change], there: Mapping[str, Entry]) -> set[str]:
    """Those whose folder is no folder there, and does not become one by this push."""
    sent = {one.path for one in to_send}
    in_the_way = {path for path, one in there.items() if one.kind != "d" and path not in sent}
    return {path for path in sent if any(above in in_the_way for above in parents(path))}


def _fetch_surprises(fetching: Fetching, sent: list[Change]) -> None:
    """Bring home what was replaced there although it had changed since it was compared."""
    way = fetching.way
    items = [
        Item(
            source=source,
            path=source.removeprefix(f"{way.replaced}/"),
            there=entry,
            here=None,
            reason="changed there while yours was sent",
            besides=True,
        )
        for source, entry in surprises(way, sent).items()
    ]
    # Yours is there by now: what both agree on stays.
    agreed = {item.path: fetching.base[item.path] for item in items}
    fetch(fetching, items)
    for path, pair in agreed.items():
        fetching.base.settle(path, pair)


def _still_to_fetch(found: Comparison, *, pushed: bool) -> list[Item]:
    """What is to be fetched and was not yet."""
    items = items_for(found.changes, found.behind)
    return [one for one in items if not one.besides or not pushed]


def _settle_the_rest(root: Path, base: Base, changes: Iterable[Change]) -> None:
    """Settle what needs no moving."""
    for one in changes:
        if one.outcome is Outcome.AGREE and one.here and one.there:
            base.settle(one.path, Pair(adopt_time(root, one.path, one.here, one.there), one.there))
        elif one.outcome in (Outcome.KEEP, Outcome.FORGET):
            base.settle(one.path, settle(one))


def _say_besides(besides: dict[str, str]) -> None:
    for _, words in sorted(besides.items()):
        report.warning(words)


def _say_kept(paths: list[str]) -> None:
    if paths:
        report.step(f"deleted there, kept here: {listed(paths)}")


def _say_biggest(entries: dict[str, Entry]) -> None:
    total = total_size(entries)
    if total < WORTH_A_WORD:
        return
    items = biggest(entries)
    named = ", ".join(f"{name} ({size_text(size)})" for name, size in items)
    report.step(f"{size_text(total)} to push; the biggest: {named}")
    report.hint(f"a line `/{items[0][0]}` in .rsyncignore keeps that one here")


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


def differences(root: Path, there: There, tools: Tools) -> list[Change]:
    """What a sync would do, without doing it."""
    with manifest.locked(root), _base(root, there) as base:
        found = compare(root, there, base, tools, verb="push", thorough=True)
    return [one for one in found.changes if one.outcome not in (Outcome.AGREE, Outcome.FORGET)]


def prune_replaced(root: Path) -> None:
    """Keep the replaced files of the last runs only; run ids sort by time."""
    folder = root / manifest.OWN_FOLDER / "replaced"
    runs = sorted(folder.iterdir()) if folder.is_dir() else []
    for old in runs[:-KEPT_REPLACED]:
        shutil.rmtree(old, ignore_errors=True)
