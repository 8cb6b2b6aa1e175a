"""Scans what stands on each side of a project; moves nothing.

One dry rsync lists what is not the same on both sides; only there are both looked at more closely.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree, rsync_options
from ec2tasks.sync.entries import (
    Entry,
    EntryKind,
    encode_paths,
    is_outward,
    kind_of,
    parents,
    parse_entries,
    read_entry,
)
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.rsync import (
    COMPARING,
    ITEMIZED,
    NAME_AT,
    OBSTRUCTED,
    RsyncResult,
    is_item,
    item_path,
    left_out_text,
    rsync_failure,
    run_rsync,
    unescaped,
)
from ec2tasks.sync.transfer import Direction

DELETING = b"*deleting   "


@dataclass(kw_only=True)
class Listing:
    """The paths that a dry push lists; those that are the same on both sides only where it is `full`."""

    same: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    only_remote: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    full: bool

    def add(self, line: bytes) -> None:
        """Take in a line of rsync's output."""
        if line.startswith(DELETING):
            self.only_remote.append(unescaped(line[len(DELETING) :].rstrip(b"/")))
        elif not is_item(line):
            self.messages.append(line.decode(errors="surrogateescape"))
        else:
            path = item_path(line)
            is_same = line[:1] == b"." and line[2 : NAME_AT - 1].isspace()
            if path != ".":
                (self.same if is_same else self.differing).append(path)


@dataclass(kw_only=True)
class RemoteScan:
    """The entries of a scan on the instance, by path, as they travel.

    `links` lead out of the project, `behind` are the paths of what they lead to, in words `closed` what could
    not be looked into. Nothing is below a link that stays in the project.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)

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


def dry_run_argv(root: Path, remote: RemoteFolder, *, full: bool) -> list[str]:
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
        ITEMIZED,
        *filter_argv(root),
        *rsync_options(remote),
        "--",
        f"{root}/",
        remote.rsync_path,
    ]


def list_differences(
    root: Path, remote: RemoteFolder, tools: Tools, direction: Direction, *, full: bool
) -> tuple[Listing, RsyncResult]:
    """List what differs, by a dry rsync, and all its messages. Raises Failure where it could not compare."""
    listing = Listing(full=full)
    result = run_rsync(dry_run_argv(root, remote, full=full), tools, on_line=listing.add)
    messages = RsyncResult(code=result.code, errors="\n".join([*listing.messages, result.errors]))
    # What stands there in the place of what can't travel from here is looked at all the same.
    missed = {*messages.obstructed_remote(remote.path), *messages.skipped_local(f"{root}")}
    listing.differing += sorted(missed - set(listing.differing))
    if not result.complete and not messages.explained_by(left_out_text, OBSTRUCTED.match):
        raise rsync_failure(direction, result, hint=f"`ec2tasks sync --{direction.value}` goes on from here")
    return listing, messages


def list_local_files(root: Path, tools: Tools) -> dict[str, Entry]:
    """All files here that would travel, by rsync's own reading of the ignore patterns."""
    listing = Listing(full=True)
    with tempfile.TemporaryDirectory() as nothing:
        argv = ["rsync", "--dry-run", "--recursive", "--links", "--copy-unsafe-links", "--8-bit-output"]
        argv += [ITEMIZED, *filter_argv(root), "--", f"{root}/", f"{nothing}/"]
        run_rsync(argv, tools, on_line=listing.add)
    entries = ((path, read_entry(root, path)) for path in listing.differing)
    return {path: entry for path, entry in entries if entry and entry.kind is EntryKind.FILE}


def scan_remote(remote: RemoteFolder, paths: Iterable[str], tools: Tools) -> RemoteScan:
    """Scan paths and the folders above them on the instance.

    A link that leads out is what it leads to; all below a folder that it leads to is scanned as well.
    """
    wanted = sorted({above for path in paths for above in (*parents(path), path)})
    if not wanted:
        return RemoteScan()
    answer = ask_tree(remote, tools, "look", stdin=encode_paths(f"./{path}" for path in wanted))
    entries = _without_linked(parse_entries(answer))
    links = {path for path, entry in entries.items() if _is_link(entry) and is_outward(path, entry.target)}
    if not links:
        return RemoteScan(entries=entries)
    answer = ask_tree(remote, tools, "look_behind", stdin=encode_paths(f"./{path}" for path in sorted(links)))
    found = parse_entries(answer)
    behind = {
        # What is a link even to who follows links leads nowhere.
        path: Entry(EntryKind.SPECIAL) if _is_link(entry) else entry
        for path, entry in found.items()
        if entry.kind is not EntryKind.CLOSED
    }
    return RemoteScan(
        entries={**{path: entry for path, entry in entries.items() if path not in links}, **behind},
        links=links,
        behind=set(behind),
        closed=[f"{path} (not readable there)" for path in found if path not in behind],
    )


def _is_link(entry: Entry) -> bool:
    return entry.kind is EntryKind.LINK


def _without_linked(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The entries but for those below a link that stays in the project: they travel under another name."""
    links = {
        path for path, entry in entries.items() if _is_link(entry) and not is_outward(path, entry.target)
    }
    return {path: entry for path, entry in entries.items() if not links.intersection(parents(path))}


def same_contents(root: Path, remote: RemoteFolder, paths: list[str], tools: Tools) -> set[str]:
    """The paths of files that hold the same on both sides, by checksum."""
    differing: set[str] = set()

    def take(line: bytes) -> None:
        if line[:2] in (b"<f", b".f") and line[2:3] in (b"c", b"+"):
            differing.add(unescaped(line[NAME_AT:]))

    argv = ["rsync", "--dry-run", "-i", "--checksum", *COMPARING, "--no-implied-dirs", "--8-bit-output"]
    argv += [
        ITEMIZED,
        "--from0",
        "--files-from=-",
        *rsync_options(remote),
        "--",
        f"{root}/",
        remote.rsync_path,
    ]
    result = run_rsync(argv, tools, stdin=encode_paths(f"./{path}" for path in paths), on_line=take)
    return set(paths) - differing if result.complete else set()
