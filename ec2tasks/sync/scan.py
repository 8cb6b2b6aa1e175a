"""Scans what stands on each side of a project; moves nothing.

One dry rsync lists what is not the same on both sides; only there are both looked at more closely.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree, rsync_options
from ec2tasks.sync.entries import Entry, EntryKind, encode_paths, is_outward, kind_of, parents
from ec2tasks.sync.gate import Seen, Stamp, read_look, read_look_behind
from ec2tasks.sync.rsync import (
    COMPARING,
    OBSTRUCTED,
    Item,
    Items,
    RsyncResult,
    left_out_text,
    rsync_failure,
    run_rsync,
)
from ec2tasks.sync.transfer import Direction, Transfer


@dataclass(kw_only=True)
class Listing:
    """The paths that a dry push lists; those that are the same on both sides only where it is a full one.

    `found_here`: what of it the rsync here has found to travel, each with whether it is a folder. Whatever
    else is listed was named by the instance.
    """

    same: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    only_remote: list[str] = field(default_factory=list)
    found_here: set[tuple[str, bool]] = field(default_factory=set)

    def add(self, item: Item) -> None:
        """Take in an item of rsync's output."""
        paths = self.only_remote if item.deleted else self.same if item.same else self.differing
        paths.append(item.path)
        if paths is self.differing:
            self.found_here.add((item.path, item.is_folder))


@dataclass(kw_only=True)
class RemoteScan:
    """The entries of a scan on the instance, by path, as they travel.

    `links` lead out of the project, `behind` are the paths of what they lead to, in words `closed` what could
    not be looked into. Nothing is below a link that stays in the project. `stamps` tell each from another of
    its size and time. `clashing` can't stand here under their names, each with the part of its path that is
    another's name on the disk here.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)
    clashing: dict[str, str] = field(default_factory=dict)

    def blocks(self, path: str) -> bool:
        """Whether something else than a folder of the project is above a path."""
        return any(
            above in self.links or kind_of(self.entries.get(above)) not in (None, EntryKind.FOLDER)
            for above in parents(path)
        )

    def closed_above(self, path: str) -> str | None:
        """The folder that can't be looked into and may hold what is at a path."""
        return next(
            (
                above
                for above in (*parents(path), path)
                if kind_of(self.entries.get(above)) is EntryKind.CLOSED
            ),
            None,
        )


def dry_run_argv(
    root: Path, remote: RemoteFolder, filters: Sequence[str], items: Items, *, full: bool
) -> list[str]:
    """The dry rsync that lists what differs (`full`: also what does not), and what stands there alone."""
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
        items.option,
        *filters,
        *rsync_options(remote),
        "--",
        f"{root}/",
        remote.rsync_path,
    ]


def list_differences(
    root: Path,
    remote: RemoteFolder,
    tools: Tools,
    filters: Sequence[str],
    *,
    direction: Direction,
    full: bool,
) -> tuple[Listing, RsyncResult]:
    """List what differs, by a dry rsync, and all its messages. Raises Failure where it could not compare."""
    listing, items, lines = Listing(), Items(), list[str]()

    def take(line: bytes) -> None:
        if item := items.read(line):
            listing.add(item)
        else:
            lines.append(line.decode(errors="surrogateescape"))

    result = run_rsync(dry_run_argv(root, remote, filters, items, full=full), tools, on_line=take)
    messages = RsyncResult(code=result.code, errors="\n".join([*lines, result.errors]))
    # What stands there in the place of what can't travel from here is looked at all the same.
    missed = {*messages.obstructed_remote(remote.path), *messages.skipped_local(f"{root}")}
    listing.differing += sorted(missed - set(listing.differing))
    if not result.complete and not messages.explained_by(left_out_text, OBSTRUCTED.match):
        raise rsync_failure(direction, result, hint=f"`ec2tasks sync --{direction.value}` goes on from here")
    return listing, messages


def scan_remote(remote: RemoteFolder, paths: Iterable[str], tools: Tools) -> RemoteScan:
    """Scan paths and the folders above them on the instance.

    A link that leads out is what it leads to; all below a folder that it leads to is scanned as well.
    """
    wanted = {above for path in paths for above in (*parents(path), path)}
    if not wanted:
        return RemoteScan()
    seen = _without_linked(look(remote, wanted, tools))
    entries = {path: found.entry for path, found in seen.items()}
    links = {path for path, entry in entries.items() if _is_link(entry) and is_outward(path, entry.target)}
    if not links:
        return RemoteScan(entries=entries, stamps={path: found.stamp for path, found in seen.items()})
    answer = ask_tree(remote, tools, "look_behind", stdin=encode_paths(f"./{path}" for path in sorted(links)))
    found = read_look_behind(answer, links)
    behind = {path: seen for path, seen in found.items() if seen.entry.kind is not EntryKind.CLOSED}
    both = {**{path: found for path, found in seen.items() if path not in links}, **behind}
    return RemoteScan(
        entries={path: found.entry for path, found in both.items()},
        stamps={path: found.stamp for path, found in both.items()},
        links=links,
        behind=set(behind),
        closed=[f"{path} (not readable there)" for path in found if path not in behind],
    )


def look(remote: RemoteFolder, paths: Iterable[str], tools: Tools) -> dict[str, Seen]:
    """What stands at these paths on the instance, links as links, by path. Raises Failure."""
    asked = set(paths)
    answer = ask_tree(remote, tools, "look", stdin=encode_paths(f"./{path}" for path in sorted(asked)))
    return read_look(answer, asked)


def _is_link(entry: Entry) -> bool:
    return entry.kind is EntryKind.LINK


def _without_linked(seen: dict[str, Seen]) -> dict[str, Seen]:
    """What was seen but for what is below a link that stays in the project: it travels under another name."""
    links = {
        path for path, (entry, _) in seen.items() if _is_link(entry) and not is_outward(path, entry.target)
    }
    return {path: found for path, found in seen.items() if not links.intersection(parents(path))}


def same_contents(transfer: Transfer, paths: list[str]) -> set[str]:
    """The paths of files that hold the same on both sides, by checksum."""
    root, remote, tools = transfer.root, transfer.remote, transfer.tools
    differing, items = set[str](), Items()

    def take(line: bytes) -> None:
        item = items.read(line)
        if item and item.what[:2] in (b"<f", b".f") and item.what[2:3] in (b"c", b"+"):
            differing.add(item.path)

    argv = ["rsync", "--dry-run", "-i", "--checksum", *COMPARING, "--no-implied-dirs", "--8-bit-output"]
    argv += [
        items.option,
        "--from0",
        "--files-from=-",
        *rsync_options(remote),
        "--",
        f"{root}/",
        remote.rsync_path,
    ]
    result = run_rsync(argv, tools, stdin=encode_paths(f"./{path}" for path in paths), on_line=take)
    return set(paths) - differing if result.complete else set()
