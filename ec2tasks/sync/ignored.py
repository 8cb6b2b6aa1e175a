"""Weighs what stands on the instance alone for good: ignored files, made there, that no pull fetches."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree, rsync_options
from ec2tasks.sync.entries import encode_paths
from ec2tasks.sync.ignore import DEFAULT_IGNORED, OWN_PATTERNS, filter_argv
from ec2tasks.sync.progress import size_text
from ec2tasks.sync.rsync import PARTIAL, VANISHED, rsync_failure, run_rsync, unescaped
from ec2tasks.sync.transfer import Direction, names_text

HIDDEN = re.compile(rb"\[sender\] hiding (?:file|directory) (.+) because of pattern (.+)$")
WEIGHED = re.compile(rb"(\d{1,12}) (\d{1,18}) \./(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class IgnoredFiles:
    """How many ignored files stand on the instance, their bytes, and where, the biggest first."""

    count: int = 0
    size: int = 0
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        files = "file" if self.count == 1 else "files"
        return f"{self.count} ignored {files} ({size_text(self.size)}: {names_text(self.paths)})"


def ignored_files(root: Path, remote: RemoteFolder, tools: Tools) -> IgnoredFiles:
    """The ignored files on the instance, but for what tools make again.

    Rsync alone reads its patterns: it says itself what it hides. Raises Failure where it can't be asked.
    """
    hidden: set[str] = set()

    def take(line: bytes) -> None:
        if (match := HIDDEN.match(line)) and match[2].decode(errors="replace") not in OWN_PATTERNS:
            hidden.add(unescaped(match[1]))

    with tempfile.TemporaryDirectory() as nothing:
        argv = ["rsync", "--dry-run", "--recursive", "--8-bit-output", "-M--debug=FILTER1"]
        argv += [*filter_argv(root), *rsync_options(remote), "--", remote.rsync_path, f"{nothing}/"]
        result = run_rsync(argv, tools, on_line=take)
    if result.code not in (0, PARTIAL, VANISHED):
        raise rsync_failure(Direction.PULL, result, hint="the ignored files could not be counted")
    wanted = [f"./{path}" for path in sorted(hidden) if path.rpartition("/")[2] not in DEFAULT_IGNORED]
    answer = ask_tree(remote, tools, "weigh", stdin=encode_paths(wanted)) if wanted else b""
    weights = [match.groups() for record in answer.split(b"\0") if (match := WEIGHED.fullmatch(record))]
    found = sorted(((int(size), int(count), unescaped(path)) for count, size, path in weights), reverse=True)
    return IgnoredFiles(
        count=sum(count for _, count, _ in found),
        size=sum(size for size, _, _ in found),
        paths=tuple(path for _, count, path in found if count),
    )
