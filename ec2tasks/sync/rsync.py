"""Runs rsync (https://download.samba.org/pub/rsync/rsync.1): what it shows, and what its end means."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools, ends_with_us
from ec2tasks.remote.folder import BrokenConnectionError

# Rsync's exit codes that a user can do something about.
REASONS = {
    10: "the connection broke",
    11: "a file could not be read or written (a full disk?)",
    12: "the connection broke, or rsync is missing on the instance",
    20: "interrupted",
    23: "some files could not be read or written",
    30: "the connection went silent",
    127: "rsync is missing on the instance",
    255: "the connection broke",
}
BROKEN_CODES = (10, 12, 30, 255)
PARTIAL, VANISHED = 23, 24
LARGER = "`disk_gb` in ec2.yaml gives the next instance a larger one; where there is room again,"
DISK_FULL = "No space left on device"
# A file that can't be opened, a link that leads nowhere, a socket: each is left out and said.
LEFT_OUT = re.compile(
    r"""(?:rsync:\ )?(?:\[(?P<side>\w+)\]\ )?
    (?:(?P<why>symlink\ has\ no\ referent):\ "(?P<link>.*)"
    |(?:send_files\ failed\ to\ open|opendir)\ "(?P<closed>.*)"(?:\ \(in\ .*\))?(?:\ failed)?
    :\ Permission\ denied\ \(13\)
    |(?:readlink_stat|link_stat|change_dir)\(?\ ?"(?P<unseen>.*)"\)?\ failed
    :\ (?:Permission\ denied\ \(13\)|Too\ many\ levels\ of\ symbolic\ links\ \(40\))
    |skipping\ (?P<special>non-regular\ file)\ "(?P<odd>.*)"
    |\[sender\]\ hiding\ directory\ (?P<nested>.*/\.git)\ because\ of\ pattern.*)$""",
    re.VERBOSE,
)
# What says something of a file; a login there may print anything.
WORDS = re.compile(r"rsync: |symlink has|skipping|could not|cannot|file has vanished|ERROR|IO error")
RECEIVING = ("generator", "receiver", "Receiver")
IN_THE_WAY = re.compile(
    r"could not make way for new [\w ]+: (?P<way>.*)$|cannot delete non-empty directory: .*$"
    r'|rsync: \[generator\] recv_generator: failed to stat "(?P<stat>.*)": [\w ]+ \(\d+\)$'
)
PROGRESS = re.compile(rb"^\s*([\d,]+)\s+\d+%\s")
# Times to the nanosecond; not those of folders, which change with what is put into them.
COMPARING = ("--links", "--perms", "--times", "--omit-dir-times", "--copy-unsafe-links", "--modify-window=-1")


@dataclass(frozen=True, kw_only=True)
class Said:
    """How an rsync ended, and what it said on stderr."""

    code: int
    errors: str

    @property
    def complete(self) -> bool:
        """Whether all that was to move has moved, but for what went away meanwhile."""
        return self.code in (0, VANISHED)

    def lines(self) -> list[str]:
        """What it said, line by line; a name may hold what else ends a line."""
        return self.errors.split("\n")

    def left_out(self) -> list[str]:
        """What rsync left out because it can't travel, in words."""
        return [words for line in self.lines() if (words := left_out(line))]

    def only(self, *known: Callable[[str], object]) -> bool:
        """Whether all that did not move is explained by one of these."""
        lines = [line for line in self.lines() if WORDS.match(line)]
        return self.code == PARTIAL and bool(lines) and all(any(one(line) for one in known) for line in lines)

    def only_left_out(self) -> bool:
        """Whether all that did not move is what can't travel."""
        return self.only(left_out)

    def not_looked_at(self, root: str) -> list[str]:
        """The paths here, below `root`, that rsync did not even compare, for what stands here."""
        found = (LEFT_OUT.match(line) for line in self.lines())
        names = (
            one["odd"] or one["unseen"] or one["link"]
            for one in found
            if one and one["side"] not in RECEIVING
        )
        return [spelled(name).removeprefix(f"{root}/") for name in names if name]

    def closed_there(self, root: str) -> list[str]:
        """The folders, below `root`, that could not be looked into on the other side of a push."""
        found = (LEFT_OUT.match(line) for line in self.lines())
        names = [one["closed"] for one in found if one and one["closed"] and one["side"] in RECEIVING]
        return [spelled(name).removeprefix(f"{root}/") for name in names]

    def in_the_way(self, root: str) -> list[str]:
        """The paths, below `root` there, that could not even be compared, for what is in their place."""
        found = (IN_THE_WAY.match(line) for line in self.lines())
        names = [one["way"] or one["stat"] for one in found if one]
        return [spelled(name).removeprefix(f"{root}/") for name in names if name]


def left_out(line: str) -> str | None:
    """What a line of rsync's says is left out, and why; None for any other line."""
    found = LEFT_OUT.match(line)
    if not found:
        return None
    if found["link"] is not None:
        return f"{spelled(found['link'])} (a link that leads nowhere)"
    if (closed := found["closed"] or found["unseen"]) is not None:
        return f"{spelled(closed)} (not readable)"
    if found["odd"]:
        return f"{spelled(found['odd'])} (no regular file)"
    return f"{spelled(found['nested'])} (a repository inside)"


def vanished(line: str) -> bool:
    """Whether a line of rsync's says that something went away there meanwhile."""
    return bool(re.match(r'rsync: \[sender\] link_stat ".*" failed: No such file or directory \(2\)$', line))


def run(
    argv: Sequence[str],
    tools: Tools,
    *,
    stdin: bytes | None = None,
    on_line: Callable[[bytes], None] = lambda _line: None,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> Said:
    """Run rsync to its end, handing on each line it prints and how many bytes have moved so far."""
    with (
        tools.start(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as rsync,
        ends_with_us(rsync),
    ):
        said: list[bytes] = []
        threads = [_thread(lambda: said.extend(rsync.stderr or ()))]
        if stdin is not None:
            threads.append(_thread(lambda: _feed(rsync.stdin, stdin)))
        try:
            for line in _lines(rsync.stdout):
                if line[:1] == b" " and (moved := PROGRESS.match(line)):
                    on_bytes(int(moved[1].replace(b",", b"")))
                elif line:
                    on_line(line)
            rsync.wait()
        except BaseException:
            rsync.terminate()
            rsync.wait()
            raise
        finally:
            for thread in threads:
                thread.join(timeout=5)
    return Said(code=rsync.returncode, errors=b"".join(said).decode(errors="surrogateescape"))


def _thread(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def _feed(pipe: IO[bytes] | None, content: bytes) -> None:
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(content)


def _lines(stream: IO[bytes] | None) -> Iterator[bytes]:
    """The lines of a stream as they come; rsync ends those that it writes over with a carriage return."""
    assert stream is not None
    rest = b""
    while chunk := stream.read1(1 << 16):  # type: ignore[attr-defined]  # a pipe's reader is buffered
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        yield from lines
    if rest:
        yield rest


def unescaped(name: bytes) -> str:
    r"""A name as rsync prints it: what can't be printed stands as `\#ooo`."""
    if b"\\#" in name:
        name = re.sub(rb"\\#([0-7]{3})", lambda found: bytes([int(found[1], 8)]), name)
    return name.decode("utf-8", "surrogateescape")


def spelled(name: str) -> str:
    """The same, of a name in a line of words."""
    return unescaped(name.encode("utf-8", "surrogateescape"))


def failure(verb: str, said: Said, *, hint: str) -> Failure:
    """What an rsync that did not finish means."""
    lines = [line for line in said.lines() if line and not line.startswith("rsync error:")]
    reason = REASONS.get(said.code, f"rsync ended with {said.code}")
    if DISK_FULL in said.errors:
        reason = "the disk is full " + ("there" if verb == "push" else "here")
        hint = f"{LARGER} {hint}" if verb == "push" else f"free some space; {hint}"
    if said.code == 1 and "unknown option" in said.errors:
        reason, hint = "this rsync is too old", "rsync 3.1.3 or newer: brew install rsync"
    words = "; ".join(lines[:3])
    kind = BrokenConnectionError if said.code in BROKEN_CODES and DISK_FULL not in said.errors else Failure
    return kind(f"{verb} is not complete: {reason}" + (f": {words}" if words else ""), hint=hint)
