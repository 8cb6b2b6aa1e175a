"""Runs rsync (https://download.samba.org/pub/rsync/rsync.1), and reads its messages and exit codes."""

from __future__ import annotations

import io
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import MEBIBYTE, Limits, Lines, pump
from ec2tasks.base.process import DEVNULL, PIPE, Tools, ends_with_us, missing_tool
from ec2tasks.base.state import State, read_cached, write_cached
from ec2tasks.remote.folder import BrokenConnectionError
from ec2tasks.sync.gate import checked_path, path_flaw
from ec2tasks.sync.rsync_kind import MENDING, OLDEST_TEXT, unfit_error
from ec2tasks.sync.transfer import Direction

# The names of some millions of files, and a message for each of many; a transfer of a day.
LIMITS = Limits(out=256 * MEBIBYTE, err=32 * MEBIBYTE, seconds=86400.0)
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
TOLD = "rsync"  # the name under which is kept which rsync is known to do
OPTION_REFUSED = re.compile(r"unknown option|unrecognized option|usage: rsync")
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
HIDDEN = re.compile(r"\[sender\] hiding directory (?P<path>.*) because of pattern (?P<pattern>.*)$")
# A message of rsync's about a file; a login on the instance may print anything else.
ABOUT_A_FILE = re.compile(r"rsync: |symlink has|skipping|could not|cannot|file has vanished|ERROR|IO error")
RECEIVING = ("generator", "receiver", "Receiver")
OBSTRUCTED = re.compile(
    r"could not make way for new [\w ]+: (?P<way>.*)$|cannot delete non-empty directory: .*$"
    r'|rsync: \[generator\] recv_generator: failed to stat "(?P<stat>.*)": [\w ]+ \(\d+\)$'
)
ITEM = re.compile(rb"(?P<what>\*deleting  |[<>ch.][fdLDS][.+ ?a-zA-Z]{9}) (?P<name>.+)", re.DOTALL)
PROGRESS = re.compile(rb"^\s*([\d,]+)\s+\d+%\s(?:[^(]*\(xfr#(\d+))?")
# Times to the nanosecond; not those of folders, which change with what is put into them.
COMPARING = ("--links", "--perms", "--times", "--omit-dir-times", "--copy-unsafe-links", "--modify-window=-1")


class Item(NamedTuple):
    """What rsync says of one path: in eleven characters what differs, as --itemize-changes has them."""

    path: str
    what: bytes
    is_folder: bool

    @property
    def deleted(self) -> bool:
        """Whether it stands on the receiving side alone."""
        return self.what.startswith(b"*")

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.what[:1] == b"." and self.what[2:].isspace()


class Items:
    """Reads the items in the output of one rsync.

    The rsync here prints them behind a mark that nobody else knows: whatever else the other side has it
    print, in any form, is no item.
    """

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)

    @property
    def option(self) -> str:
        """The option with which rsync prints its items so."""
        return f"--out-format={self._mark}%i %n"

    def read(self, line: bytes) -> Item | None:
        """The item in a line; None for any other line, and for the top folder.

        Raises RefusedAnswerError for one about a path that leads out of the project: what stands on the
        instance alone is named from there.
        """
        if not line.startswith(mark := self._mark.encode()):
            return None
        match = ITEM.fullmatch(line[len(mark) :])
        name = match["name"].rstrip(b"/") if match else b"."
        if match is None or name == b".":
            return None
        path = checked_path(unescaped(name))
        return Item(path, match["what"], match["name"].endswith(b"/") or match["what"][1:2] == b"d")


@dataclass(frozen=True, kw_only=True)
class RsyncResult:
    """An rsync's exit code, and what it wrote to stderr."""

    code: int
    errors: str

    @property
    def complete(self) -> bool:
        """Whether all that was to move has moved, but for what went away meanwhile."""
        return self.code in (0, VANISHED)

    @property
    def broken(self) -> bool:
        """Whether the transfer itself was cut, or refused: no other one is worth a try."""
        return self.code not in (0, PARTIAL, VANISHED)

    def then(self, later: RsyncResult) -> RsyncResult:
        """What two rsyncs, one after the other, came to together: the worse of both codes, all errors."""
        worse = next((code for code in (PARTIAL, VANISHED) if code in (self.code, later.code)), 0)
        errors = "\n".join(result.errors for result in (self, later) if result.errors)
        return RsyncResult(code=later.code if later.broken else worse, errors=errors)

    def lines(self) -> list[str]:
        """The lines of stderr; a name may hold what else ends a line, so they end at newlines alone."""
        return self.errors.split("\n")

    def left_out(self) -> list[str]:
        """The paths that rsync left out because they can't travel, each with the reason; no links."""
        texts = (left_out_text(line) for line in self.lines() if "symlink has no referent" not in line)
        return [text for text in texts if text]

    def nowhere(self, root: str) -> list[str]:
        """The links below `root` here that lead nowhere."""
        matches = (LEFT_OUT.match(line) for line in self.lines())
        return _paths_below(root, (match["link"] for match in matches if match))

    def explained_by(self, *explains: Callable[[str], object]) -> bool:
        """Whether each error is one that one of these explains, so that all else has moved."""
        lines = [line for line in self.lines() if ABOUT_A_FILE.match(line)]
        return (
            self.code == PARTIAL
            and bool(lines)
            and all(any(explain(line) for explain in explains) for line in lines)
        )

    def hidden(self, pattern: str) -> set[str]:
        """The folders here that this pattern keeps out."""
        matches = (HIDDEN.match(line) for line in self.lines())
        return {unescaped_text(match["path"]) for match in matches if match and match["pattern"] == pattern}

    def skipped_local(self, root: str) -> list[str]:
        """The paths below `root` here that a push did not even compare, for what stands here."""
        matches = (LEFT_OUT.match(line) for line in self.lines())
        names = (
            match["odd"] or match["unseen"] or match["link"]
            for match in matches
            if match and match["side"] not in RECEIVING
        )
        return _paths_below(root, names)

    def closed_remote(self, root: str) -> list[str]:
        """The folders below `root` on the instance that a push could not look into, to be named."""
        matches = (LEFT_OUT.match(line) for line in self.lines())
        names = [
            match["closed"] for match in matches if match and match["closed"] and match["side"] in RECEIVING
        ]
        return [unescaped_text(name).removeprefix(f"{root}/") for name in names]

    def obstructed_remote(self, root: str) -> list[str]:
        """The paths below `root` on the instance that a push did not compare, for what is in their place."""
        matches = (OBSTRUCTED.match(line) for line in self.lines())
        return _paths_below(root, (match["way"] or match["stat"] for match in matches if match))


def _paths_below(root: str, names: Iterable[str | None]) -> list[str]:
    """The names as paths below `root`, but for those that can't be any.

    Messages are no more than a reason to look: a login on the instance may print what looks like one.
    """
    paths = [unescaped_text(name).removeprefix(f"{root}/") for name in names if name]
    return [path for path in paths if path_flaw(path) is None]


def left_out_text(line: str) -> str | None:
    """What a line of rsync's says is left out, and why; None for any other line."""
    match = LEFT_OUT.match(line)
    if not match:
        return None
    if match["link"] is not None:
        return f"{unescaped_text(match['link'])} (a link that leads nowhere)"
    if (closed := match["closed"] or match["unseen"]) is not None:
        return f"{unescaped_text(closed)} (not readable)"
    if match["odd"]:
        return f"{unescaped_text(match['odd'])} (no regular file)"
    return f"{unescaped_text(match['nested'])} (a repository inside)"


def is_vanished(line: str) -> bool:
    """Whether a line of rsync's says that a file to pull went away meanwhile."""
    return bool(re.match(r'rsync: \[sender\] link_stat ".*" failed: No such file or directory \(2\)$', line))


def run_rsync(
    argv: Sequence[str],
    tools: Tools,
    *,
    stdin: bytes | None = None,
    on_line: Callable[[bytes], None] = lambda _line: None,
    on_moved: Callable[[int, int], None] = lambda _bytes, _files: None,
) -> RsyncResult:
    """Run rsync to its end, handing on each line of its output, and how many bytes and files have moved.

    Raises ExceededError where it, or a login there, prints without end.
    """
    errors = io.BytesIO()

    def take(line: bytes) -> None:
        if line[:1] == b" " and (progress := PROGRESS.match(line)):
            on_moved(int(progress[1].replace(b",", b"")), int(progress[2] or 0))
        elif line:
            on_line(line)

    # Rsync ends the lines that it writes over with a carriage return.
    lines = Lines(on_line=take, also=b"\r")
    given = DEVNULL if stdin is None else PIPE
    with (
        tools.start(argv, stdin=given, stdout=PIPE, stderr=PIPE, start_new_session=True) as rsync,
        ends_with_us(rsync),
    ):
        pump(rsync, LIMITS, stdin=stdin or b"", on_out=lines, on_err=errors.write)
        lines.close()
    return RsyncResult(code=rsync.returncode, errors=errors.getvalue().decode(errors="surrogateescape"))


def check_rsync(state: State, tools: Tools) -> None:
    """Raise Failure where the rsync here lacks what a sync needs; one that does not is asked once."""
    path = shutil.which("rsync")
    if path is None:
        raise missing_tool("rsync")
    status = Path(path).stat()
    known: dict[str, object] = {"path": path, "time": status.st_mtime_ns, "size": status.st_size}
    if read_cached(state, TOLD) == known:
        return
    if error := unfit_error(tools.capture(["rsync", "--version"]).stdout.decode(errors="replace")):
        raise error
    write_cached(state, TOLD, known)


def unescaped(name: bytes) -> str:
    r"""A file's name from rsync's output, where what can't be printed stands as `\#ooo`."""
    if b"\\#" in name:
        name = re.sub(rb"\\#([0-7]{3})", lambda match: bytes([int(match[1], 8)]), name)
    return name.decode("utf-8", "surrogateescape")


def unescaped_text(name: str) -> str:
    """A file's name from a message of rsync's, which was decoded with the rest of its line."""
    return unescaped(name.encode("utf-8", "surrogateescape"))


def rsync_failure(direction: Direction, result: RsyncResult, *, hint: str) -> Failure:
    """The failure that an rsync's incomplete result means; BrokenConnectionError where ssh broke."""
    lines = [line for line in result.lines() if line and not line.startswith("rsync error:")]
    reason = REASONS.get(result.code, f"rsync ended with {result.code}")
    if DISK_FULL in result.errors:
        reason = "the disk is full " + ("there" if direction is Direction.PUSH else "here")
        hint = f"{LARGER} {hint}" if direction is Direction.PUSH else f"free some space; {hint}"
    if result.code == 1 and OPTION_REFUSED.search(result.errors):
        reason, hint = "this rsync lacks an option", f"rsync {OLDEST_TEXT} or newer is needed: {MENDING}"
    messages = "; ".join(lines[:3])
    kind = (
        BrokenConnectionError if result.code in BROKEN_CODES and DISK_FULL not in result.errors else Failure
    )
    return kind(
        f"{direction.value} is not complete: {reason}" + (f": {messages}" if messages else ""), hint=hint
    )
