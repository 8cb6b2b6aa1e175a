"""From here to there: what was deleted here goes there too, what was changed here is sent.

Whatever is replaced or deleted there is kept in .ec2tasks/replaced/RUN there. Rsync writes beside and then
renames, so that no half file ever stands under its name.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import OWN_FOLDER, clock
from ec2tasks.remote.folder import RemoteFolder, ask_tree, shell_argv
from ec2tasks.sync.baseline import Base
from ec2tasks.sync.entries import Entry, alike, encode, look, parse_found, settled
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.progress import bar, shows_bar
from ec2tasks.sync.reconcile import Change, Outcome
from ec2tasks.sync.rsync import COMPARING, Said, failure, run, unescaped
from ec2tasks.sync.scan import FORMAT, NAME_AT, Found, is_item

Expected = dict[str, tuple[str, Entry | None]]  # by a copy's path there: of what, and what it should be
NOTING = 1.0  # seconds after which a first push notes what it has sent
ROUNDS = 3  # times that a file is sent which changes while it is sent
HINT = "the same command again goes on from here"
SHOWN = 5  # names in a sentence


@dataclass(frozen=True, kw_only=True)
class Way:
    """One transfer of the project at `root`: its folder there, the run it belongs to, how it is shown."""

    root: Path
    there: RemoteFolder
    job_id: str
    tools: Tools
    verbose: bool = False
    quiet: bool = False

    @property
    def replaced(self) -> str:
        """Where the copies of what this run replaces are kept, on both sides."""
        return self.replaced_in(0)

    def replaced_in(self, round_: int) -> str:
        """The same, of what is sent for another time: the copies of before stay."""
        return f"{OWN_FOLDER}/replaced/{self.job_id}" + (f".{round_}" if round_ else "")


def delete_there(way: Way, changes: Iterable[Change], obstacles: Iterable[str], found: Found) -> set[str]:
    """Take away there what was deleted here, and empty folders in the way. What could not go comes out."""
    # What is behind a link there is not the project's: the link goes, what it leads to stays.
    deleted = [one for one in changes if one.outcome is Outcome.DELETE and one.there]
    own = [one for one in deleted if one.path not in found.behind or one.path in found.links]
    is_file = {one.path for one in own if one.path in found.links or (one.there and one.there.kind != "d")}
    files = sorted(is_file)
    folders = {one.path for one in own if one.path not in is_file} | set(obstacles)
    if not files and not folders:
        return set()
    deepest_first = sorted(folders, key=lambda one: (-one.count("/"), one))
    lists = encode(files) + b"\0" + encode(deepest_first)
    stayed = ask_tree(way.there, way.tools, "clear", way.job_id, stdin=lists)
    if way.verbose:
        for path in files:
            output.step(f"delete there {path} (deleted here)")
    return {os.fsdecode(one) for one in stayed.split(b"\0") if one}


def send_argv(way: Way, *, progress: bool, round_: int = 0) -> list[str]:
    """The rsync that sends; what it sends is added."""
    own = f"{way.there.path}/{OWN_FOLDER}"
    return [
        "rsync",
        *COMPARING,
        "--8-bit-output",
        "--backup",
        f"--backup-dir={way.replaced_in(round_)}",
        f"--temp-dir={OWN_FOLDER}/incoming",
        f"--partial-dir={own}/partial",
        "--debug=FILTER1",
        FORMAT,
        *(["--info=progress2", "--no-inc-recursive", "--outbuf=L"] if progress else []),
        *shell_argv(way.there),
    ]


def send(
    way: Way,
    argv: list[str],
    total: int,
    stdin: bytes | None,
    on_path: Callable[[str], None],
    *,
    round_: int = 0,
) -> Said:
    """Send, showing how far it has got. Raises Failure where not everything that can travel arrived."""
    progress = not way.quiet and not way.verbose and shows_bar(total)
    words: list[str] = []

    def take(line: bytes) -> None:
        if is_item(line):
            on_path(unescaped(line[NAME_AT:]).rstrip("/"))
        else:
            words.append(line.decode(errors="surrogateescape"))

    with bar("push", total) if progress else contextlib.nullcontext(_ignore) as moved:
        said = run(
            [*send_argv(way, progress=progress, round_=round_), *argv],
            way.tools,
            stdin=stdin,
            on_line=take,
            on_bytes=moved,
        )
    if not said.complete and not said.only_left_out():
        raise failure("push", said, hint=HINT)
    both = Said(code=said.code, errors="\n".join([*words, said.errors]))
    say_left_out(way.root, both.left_out())
    return both


def say_left_out(root: Path, left_out: Iterable[str]) -> None:
    """Say in one line what can't travel, by its path in the project."""
    names = sorted({one.removeprefix(f"{root}/") for one in left_out})
    if names:
        output.warning(f"left out: {listed(names)}")


def listed(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _ignore(_count: int) -> None:
    pass


def push(way: Way, changes: list[Change], base: Base, replaced: Expected) -> None:
    """Send these paths, again where they change meanwhile, and settle in the base what arrived.

    `replaced` takes in what each copy of what is replaced there should be.

    Raises Failure where something could not be sent or never stood still.
    """
    waiting = {one.path: one for one in changes}
    expected: dict[str, Entry | None] = {one.path: one.here for one in changes}
    before: dict[str, Entry | None] = {one.path: one.there for one in changes}
    for round_ in range(ROUNDS):
        if not waiting:
            return
        if round_:
            base.note((path, entry) for path in waiting if (entry := expected[path]))
        for path in waiting:
            replaced[f"{way.replaced_in(round_)}/{path}"] = (path, before[path])
        sent = _send_listed(way, list(waiting.values()), round_)
        for path in sorted(sent):
            now = _now(way.root, path)
            if now is not None and now == expected[path]:
                base.settle(path, settled(now))
                del waiting[path]
            else:
                before[path], expected[path] = expected[path], now
        # What was not sent can't be read, which was said; what went away here is for the next comparison.
        waiting = {path: one for path, one in waiting.items() if path in sent and expected[path]}
    if waiting:
        names = ", ".join(sorted(waiting)[:3])
        raise Failure(f"push is not complete: {names} changes all the time", hint=HINT)


def _now(root: Path, path: str) -> Entry | None:
    try:
        return look(root, path)
    except OSError:
        return None


def _send_listed(way: Way, changes: list[Change], round_: int) -> set[str]:
    sent: set[str] = set()
    reasons = {one.path: one.reason for one in changes}

    def on_path(path: str) -> None:
        sent.add(path)
        if way.verbose and path in reasons:
            output.step(f"push {path} ({reasons[path]})")

    argv = ["--no-implied-dirs", "--from0", "--files-from=-", "--", f"{way.root}/", way.there.end]
    total = sum(one.here.size for one in changes if one.here)
    said = send(way, argv, total, encode(f"./{one}" for one in reasons), on_path, round_=round_)
    return set(reasons) if said.complete else sent & set(reasons)


def first_push(way: Way, base: Base, total: int) -> bool:
    """Send everything to a folder with nothing in it. Whether nothing changed meanwhile, here or there."""
    stamp = clock(way.root)
    sent: list[str] = []
    note = _noting(way.root, base)

    def on_path(path: str) -> None:
        sent.append(path)
        note(path)
        if way.verbose:
            output.step(f"push {path} (nothing there yet)")

    argv = ["--recursive", "--keep-dirlinks", "--ignore-existing", "--info=skip1", *filter_argv(way.root)]
    said = send(way, [*argv, "--", f"{way.root}/", way.there.end], total, None, on_path)
    paths = [path for path in sent if path not in ("", ".")]
    found = [(path, _unchanged_since(way.root, path, stamp)) for path in paths]
    base.settle_new((path, entry) for path, entry in found if entry)
    # What somebody else has put there meanwhile was not sent.
    others = any(line.endswith(" exists") for line in said.lines())
    return not others and all(entry for _, entry in found)


def _noting(root: Path, base: Base) -> Callable[[str], None]:
    """Takes in the path of what is being sent, and notes every now and then what that is."""
    waiting: list[str] = []
    noted = time.monotonic()

    def note(path: str) -> None:
        nonlocal noted
        waiting.append(path)
        if time.monotonic() - noted >= NOTING:
            base.note((one, entry) for one in waiting if one not in ("", ".") and (entry := _now(root, one)))
            waiting.clear()
            noted = time.monotonic()

    return note


def _unchanged_since(root: Path, path: str, stamp: int) -> Entry | None:
    """What stands here, where it has not been touched since then."""
    with contextlib.suppress(OSError):
        entry = look(root, path)
        if entry is not None and (entry.kind != "f" or os.stat(f"{root}/{path}").st_ctime_ns < stamp):
            return entry
    return None


def surprises(way: Way, replaced: Expected) -> dict[str, tuple[str, Entry]]:
    """Copies there of what was replaced or deleted but was no longer what had been compared: of what."""
    if not replaced:
        return {}
    found = parse_found(
        ask_tree(way.there, way.tools, "look_kept", way.job_id, stdin=encode(f"./{one}" for one in replaced))
    )
    return {
        copy: (replaced[copy][0], kept)
        for copy, kept in found.items()
        if kept.kind in ("f", "l") and not _as_expected(replaced[copy][1], kept)
    }


def _as_expected(before: Entry | None, kept: Entry) -> bool:
    return before is not None and (before.kind == "d" or alike(before, kept))
