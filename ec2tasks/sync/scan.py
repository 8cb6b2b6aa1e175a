"""Compares the project here and there with what both last agreed on; moves nothing.

One dry rsync tells what is not the same on both sides; only there are both looked at more closely.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base.process import Tools, in_background
from ec2tasks.base.project_dir import clock
from ec2tasks.remote.folder import RemoteFolder, ask_tree, shell_argv
from ec2tasks.sync.baseline import Base
from ec2tasks.sync.entries import (
    NOTHING,
    Entry,
    Pair,
    encode,
    is_outward,
    is_own,
    look,
    parents,
    parse_found,
    settled,
)
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.reconcile import Change, Outcome, could_be_same, decide
from ec2tasks.sync.rsync import (
    COMPARING,
    IN_THE_WAY,
    Said,
    failure,
    left_out,
    run,
    unescaped,
)

FORMAT = "--out-format=%i %n"
NAME_AT = 12  # rsync's item says in eleven characters what differs, then comes a space
DELETING = b"*deleting   "
ITEM = re.compile(rb"[<>ch.][fdLDS][.+ ?a-zA-Z]{9} ")


def is_item(line: bytes) -> bool:
    """Whether a line of rsync's is about something that travels, rather than words."""
    return ITEM.match(line) is not None


@dataclass(kw_only=True)
class Listing:
    """What would travel from here: what is the same there (where `full`), what is not, what is only there."""

    same: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    only_there: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    full: bool

    def add(self, line: bytes) -> None:
        """Take in a line that rsync printed."""
        if line.startswith(DELETING):
            self.only_there.append(unescaped(line[len(DELETING) :].rstrip(b"/")))
        elif not is_item(line):
            self.words.append(line.decode(errors="surrogateescape"))
        else:
            path = unescaped(line[NAME_AT:].rstrip(b"/"))
            is_same = line[:1] == b"." and line[2 : NAME_AT - 1].isspace()
            if path != ".":
                (self.same if is_same else self.differing).append(path)


@dataclass(kw_only=True)
class Found:
    """What stands there: by path, as it travels; links that lead out of the project, and what is behind them.

    `closed` could not be looked into. Nothing is below a link that stays in the project.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)

    def blocks(self, path: str) -> bool:
        """Whether something else than a folder of the project is above a path."""
        return any(one in self.links or kind(self.entries.get(one)) not in ("", "d") for one in parents(path))

    def shut(self, path: str) -> str | None:
        """The folder that can't be looked into and may hold what is at a path."""
        return next((one for one in (*parents(path), path) if kind(self.entries.get(one)) == "x"), None)


@dataclass(kw_only=True)
class Comparison:
    """What is to be done about every path that is not settled.

    `left_out` can't travel, in words; `closed` can't be fetched, though something stands there; `vanished`:
    something was renamed or deleted while it was compared.
    """

    changes: list[Change]
    left_out: list[str]
    closed: list[str]
    there: Found
    vanished: bool


def dry_argv(root: Path, there: RemoteFolder, *, full: bool) -> list[str]:
    """The rsync that compares: what is not the same there (`full`: also what is), and what is only there."""
    return [
        "rsync",
        "--dry-run",
        "--recursive",
        "-ii" if full else "-i",
        *COMPARING,
        "--8-bit-output",
        # Only listed; and what can't be read here must not hide what is only there.
        "--delete",
        "--ignore-errors",
        "--debug=FILTER1",
        FORMAT,
        *filter_argv(root),
        *shell_argv(there),
        "--",
        f"{root}/",
        there.end,
    ]


def list_differences(
    root: Path, there: RemoteFolder, tools: Tools, verb: str, *, full: bool
) -> tuple[Listing, Said]:
    """What rsync finds, and what it says. Raises Failure where it could not look at what can be looked at."""
    listing = Listing(full=full)
    said = run(dry_argv(root, there, full=full), tools, on_line=listing.add)
    both = Said(code=said.code, errors="\n".join([*listing.words, said.errors]))
    # What stands there in the place of what can't travel from here is looked at all the same.
    missed = {*both.in_the_way(there.path), *both.not_looked_at(f"{root}")}
    listing.differing += sorted(missed - set(listing.differing))
    if not said.complete and not both.only(left_out, IN_THE_WAY.match):
        raise failure(verb, said, hint=f"`ec2tasks sync --{verb}` goes on from here")
    return listing, both


def compare(
    root: Path, there: RemoteFolder, base: Base, tools: Tools, *, verb: str, thorough: bool
) -> Comparison:
    """Compare both sides with what is kept. Raises Failure where the instance can't be asked.

    `thorough`: look also for what both sides changed alike since, which nothing but a third way between them
    can have done; it is settled anew. Left out, a later change of it may be taken for a conflict.
    """
    stamp, full = clock(root), not base.complete
    listed = in_background(lambda: list_differences(root, there, tools, verb, full=full))
    # Meanwhile: what is not here any more as it was settled. What of it is alike there is settled anew.
    known: dict[str, bool] = {}
    moved_on = (
        {path for path, pair in base if not _as_settled(root, path, pair, known)} if thorough else set()
    )
    listing, said = listed()
    paths = {*listing.differing, *listing.only_there}
    _renew(root, base, set(listing.same if full else moved_on) - paths, stamp)
    if full:
        # What is not listed at all is gone from both sides, or ignored now.
        _forget(root, base, {path for path, _ in base} - set(listing.same) - paths)
    found = look_there(there, paths, tools)
    comparison = Comparison(
        changes=[],
        left_out=said.left_out(),
        closed=[*(f"{one} (not readable there)" for one in said.closed_there(there.path)), *found.closed],
        there=found,
        vanished=False,
    )
    undecided = _undecided(root, base, sorted(paths | found.behind), comparison)
    comparison.changes = _decided(undecided, lambda doubtful: same_contents(root, there, doubtful, tools))
    return comparison


def _undecided(
    root: Path, base: Base, paths: Iterable[str], comparison: Comparison
) -> Iterator[tuple[str, Pair, Entry | None, Entry | None]]:
    """What stood and stands on both sides, where that can be told and can travel.

    Of the rest, the comparison tells.
    """
    known: dict[str, bool] = {}
    for path in paths:
        here, unknown = look_here(root, path, known)
        there = comparison.there.entries.get(path)
        if shut := comparison.there.shut(path):
            comparison.closed.append(f"{shut} (not readable there)")
        elif unknown:
            (comparison.closed if there else comparison.left_out).append(f"{path} ({unknown})")
        elif kind(there) == "o" or (kind(here) == "o" and there is None):
            comparison.left_out.append(f"{path} (no regular file)")
        elif here is None and there is None and base[path] == NOTHING:
            comparison.vanished = True
        else:
            yield path, _before(base, comparison.there, path, here, there), here, there


def _before(base: Base, found: Found, path: str, here: Entry | None, there: Entry | None) -> Pair:
    """What a path is to be compared with: nothing of yours was ever there where it stays here alone."""
    pair = base.known(path, there)
    if not pair.apart:
        return pair
    as_before = (here, there) == (pair.here, pair.there) and (there is not None or found.blocks(path))
    return Pair(here, there) if as_before else Pair(None, pair.there)


def kind(entry: Entry | None) -> str:
    """The kind of an entry; empty for none."""
    return entry.kind if entry else ""


def look_here(root: Path, path: str, known: dict[str, bool]) -> tuple[Entry | None, str]:
    """What stands here, and why that can't be told; `known` remembers folders."""
    try:
        return look(root, path, known), ""
    except OSError as error:
        return None, error.strerror or "not readable"


def _as_settled(root: Path, path: str, pair: Pair, known: dict[str, bool]) -> bool:
    """Whether a path stands here as it was settled."""
    before = pair.here
    if before is not None and before.kind == "f":
        # By hand: this is what a sync with nothing to move spends its time on.
        try:
            found = os.stat(f"{root}/{path}")
            own = is_own(root, path.rpartition("/")[0], known)
        except OSError:
            return False
        return own and (found.st_mtime_ns, found.st_size, found.st_mode & 0o777) == (
            before.mtime,
            before.size,
            before.mode,
        )
    here, unknown = look_here(root, path, known)
    return not unknown and here == before


def _renew(root: Path, base: Base, paths: Iterable[str], stamp: int) -> None:
    """Settle anew what both sides show alike, or what is gone from both."""
    known: dict[str, bool] = {}
    for path in paths:
        here, unknown = look_here(root, path, known)
        # What can't be looked at here may be there; what was touched since may not be what was compared.
        if not unknown and not _touched_since(root, path, stamp):
            base.settle(path, settled(here) if here else NOTHING)


def _forget(root: Path, base: Base, paths: Iterable[str]) -> None:
    """Forget what neither side shows any more: it is gone, or ignored now."""
    known: dict[str, bool] = {}
    for path in paths:
        if not look_here(root, path, known)[1]:
            base.settle(path, NOTHING)


def _touched_since(root: Path, path: str, stamp: int) -> bool:
    try:
        return os.stat(f"{root}/{path}").st_ctime_ns >= stamp
    except OSError:
        return False


def _decided(
    undecided: Iterable[tuple[str, Pair, Entry | None, Entry | None]],
    find_same: Callable[[list[str]], set[str]],
) -> list[Change]:
    """The outcomes that are not nothing; files that only a look into both can tell apart are looked into."""
    first = [decide(path, before, here, there) for path, before, here, there in undecided]
    doubtful = [
        one.path
        for one in first
        if one.outcome is Outcome.CONFLICT and one.here and one.there and could_be_same(one.here, one.there)
    ]
    same = find_same(doubtful) if doubtful else set()
    again = (
        decide(one.path, one.base, one.here, one.there, same_content=same.__contains__)
        if one.path in same
        else one
        for one in first
    )
    return [one for one in again if one.outcome is not Outcome.NOTHING and not _can_t_go(one)]


def _can_t_go(change: Change) -> bool:
    """Whether it would send what can't travel, a socket say, in whose place something else stands there."""
    return change.outcome is Outcome.PUSH and kind(change.here) == "o"


def look_there(there: RemoteFolder, paths: Iterable[str], tools: Tools) -> Found:
    """What stands there at these paths and in the folders above, as it travels.

    A link that leads out is what it leads to; all below a folder that it leads to is found as well.
    """
    wanted = sorted({above for path in paths for above in (*parents(path), path)})
    if not wanted:
        return Found()
    said = ask_tree(there, tools, "look", stdin=encode(f"./{one}" for one in wanted))
    found = Found(entries=_own(parse_found(said)))
    found.links = {
        path for path, one in found.entries.items() if one.kind == "l" and is_outward(path, one.target)
    }
    if not found.links:
        return found
    said = ask_tree(there, tools, "look_behind", stdin=encode(f"./{one}" for one in sorted(found.links)))
    behind = parse_found(said)
    found.closed = [f"{path} (not readable there)" for path, one in behind.items() if one.kind == "x"]
    # What is a link even to who follows links leads nowhere.
    behind = {path: Entry("o") if one.kind == "l" else one for path, one in behind.items() if one.kind != "x"}
    found.behind = set(behind)
    found.entries = {
        **{path: one for path, one in found.entries.items() if path not in found.links},
        **behind,
    }
    return found


def _own(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Those that are not seen through a link that stays in the project: they travel under another name."""
    links = {path for path, one in entries.items() if one.kind == "l" and not is_outward(path, one.target)}
    return {path: one for path, one in entries.items() if not links.intersection(parents(path))}


def same_contents(root: Path, there: RemoteFolder, paths: list[str], tools: Tools) -> set[str]:
    """Those of these files that hold the same on both sides, by checksum."""
    differing: set[str] = set()

    def take(line: bytes) -> None:
        if line[:2] in (b"<f", b".f") and line[2:3] in (b"c", b"+"):
            differing.add(unescaped(line[NAME_AT:]))

    argv = ["rsync", "--dry-run", "-i", "--checksum", *COMPARING, "--no-implied-dirs", "--8-bit-output"]
    argv += [FORMAT, "--from0", "--files-from=-", *shell_argv(there), "--", f"{root}/", there.end]
    said = run(argv, tools, stdin=encode(f"./{one}" for one in paths), on_line=take)
    return set(paths) - differing if said.complete else set()
