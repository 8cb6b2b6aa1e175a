"""Pushes: what was deleted here is deleted on the instance, what was changed here is sent.

Whatever is replaced or deleted there is copied to .ec2tasks/replaced/JOB there. Rsync writes beside and then
renames, so that no half file ever stands under its name.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.project_dir import OWN_FOLDER, file_system_time
from ec2tasks.base.waiting import waiting
from ec2tasks.remote.folder import ask_tree, rsync_options
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.entries import (
    Entry,
    EntryKind,
    encode_paths,
    kind_of,
    may_be_same,
    read_entry,
    same_on_both,
    total_size,
)
from ec2tasks.sync.environments import (
    environment_filters,
    environments_in,
    local_environments,
    say_environments,
)
from ec2tasks.sync.gate import Seen, read_look, read_names
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.progress import WORTH_A_WORD, biggest, shows_bar, size_text
from ec2tasks.sync.reconcile import Change
from ec2tasks.sync.rsync import COMPARING, Items, RsyncResult, left_out_text, rsync_failure, run_rsync
from ec2tasks.sync.said import first_time
from ec2tasks.sync.scan import RemoteScan
from ec2tasks.sync.touched import touched_since
from ec2tasks.sync.transfer import ROUNDS, Direction, Transfer, names_text
from ec2tasks.sync.travelling import listed

Copies = dict[
    str, tuple[str, Entry | None]
]  # by a copy's path on the instance: of what, and what it should be
ANNOUNCING = 1.0  # seconds after which a first push announces what it has sent
HINT = "the same command again goes on from here"


def delete_remote(
    transfer: Transfer, deleted: Iterable[Change], obstacles: Iterable[str], remote_scan: RemoteScan
) -> set[str]:
    """Delete on the instance what was deleted here, and empty folders in the way; the paths that stayed."""
    links = remote_scan.links
    # What is behind a link there is not the project's: the link goes, what it leads to stays.
    own = [
        change
        for change in deleted
        if change.remote and (change.path not in remote_scan.behind or change.path in links)
    ]
    files = sorted(
        change.path
        for change in own
        if change.path in links or kind_of(change.remote) is not EntryKind.FOLDER
    )
    folders = {change.path for change in own}.difference(files).union(obstacles)
    if not files and not folders:
        return set()
    deepest_first = sorted(folders, key=lambda path: (-path.count("/"), path))
    paths = encode_paths(files) + b"\0" + encode_paths(deepest_first)
    answer = ask_tree(transfer.remote, transfer.tools, "clear", job_id=transfer.job_id, stdin=paths)
    if transfer.verbose:
        for path in files:
            output.step(f"delete there {path} (deleted here)")
    return read_names(answer, {*files, *folders})


def push_argv(transfer: Transfer, *, progress: bool, round_: int = 0) -> list[str]:
    """The rsync that pushes; what it pushes is to be added."""
    return [
        "rsync",
        *COMPARING,
        "--8-bit-output",
        "--backup",
        f"--backup-dir={transfer.replaced_folder(round_)}",
        f"--temp-dir={OWN_FOLDER}/incoming",
        f"--partial-dir={transfer.remote.path}/{OWN_FOLDER}/partial",
        "--debug=FILTER1",
        *(["--info=progress2", "--no-inc-recursive", "--outbuf=L"] if progress else []),
        *rsync_options(transfer.remote),
    ]


def _send(
    transfer: Transfer,
    argv: list[str],
    size: tuple[int, int],
    reason_of: Callable[[str], str | None],
    *,
    stdin: bytes | None = None,
    round_: int = 0,
    on_path: Callable[[str], None] = lambda _path: None,
) -> tuple[list[str], RsyncResult]:
    """Run a push of so many bytes and files, and show how far it is; what was sent, all of rsync's messages.

    Raises Failure where not everything that can travel arrived.
    """
    progress = not transfer.quiet and not transfer.verbose and shows_bar(size[0])
    sent: list[str] = []
    messages: list[str] = []
    items = Items()

    def take(line: bytes) -> None:
        item = items.read(line)
        if item is None:
            messages.append(line.decode(errors="surrogateescape"))
            return
        sent.append(item.path)
        on_path(item.path)
        if transfer.verbose and (reason := reason_of(item.path)):
            output.step(f"push {item.path} ({reason})")

    argv = [*push_argv(transfer, progress=progress, round_=round_), items.option, *argv]
    argv += ["--", f"{transfer.root}/", transfer.remote.rsync_path]
    said = contextlib.nullcontext() if progress else waiting("the push")
    with said, output.progress_bar("push", *size) if progress else contextlib.nullcontext(_ignore) as moved:
        result = run_rsync(argv, transfer.tools, stdin=stdin, on_line=take, on_moved=moved)
    if not result.complete and not result.explained_by(left_out_text):
        raise rsync_failure(Direction.PUSH, result, hint=HINT)
    result = RsyncResult(code=result.code, errors="\n".join([*messages, result.errors]))
    say_left_out(transfer.root, result.left_out())
    say_nowhere(transfer.root, result.nowhere(f"{transfer.root}"))
    return sent, result


def say_left_out(root: Path, left_out: Iterable[str]) -> None:
    """Say in one line what can't travel, by its path in the project."""
    names = sorted({text.removeprefix(f"{root}/") for text in left_out})
    if names:
        output.warning(f"left out: {names_text(names)}")


def say_nowhere(root: Path, links: Iterable[str]) -> None:
    """Say once which links lead nowhere here."""
    new = [link for link in sorted(links) if first_time(root, f"leads nowhere {link}")]
    if new:
        output.warning(
            f"{names_text(new)} leads nowhere here: the link stays, and so does what is there under its name"
        )


def _ignore(_bytes: int, _files: int) -> None:
    pass


def push_changes(transfer: Transfer, changes: list[Change], baseline: Baseline, copies: Copies) -> None:
    """Send paths, again where they change meanwhile, and record in the baseline what arrived.

    `copies` takes in what the copy of each entry that is replaced on the instance should be.

    Raises Failure where something could not be sent or never stood still.
    """
    waiting = {change.path: change for change in changes}
    expected = {change.path: change.local for change in changes}
    before = {change.path: change.remote for change in changes}
    for round_ in range(ROUNDS):
        if not waiting:
            return
        if round_:
            baseline.announce((path, entry) for path in waiting if (entry := expected[path]))
        copies |= {f"{transfer.replaced_folder(round_)}/{path}": (path, before[path]) for path in waiting}
        arrived = _send_listed(transfer, waiting, round_)
        for path in sorted(arrived):
            entry = _entry_or_none(transfer.root, path)
            if entry is not None and entry == expected[path]:
                baseline.record(path, same_on_both(entry))
                del waiting[path]
            else:
                before[path], expected[path] = expected[path], entry
        # What was not sent can't be read, which was said; what went away here is for the next comparison.
        waiting = {path: change for path, change in waiting.items() if path in arrived and expected[path]}
    if waiting:
        names = ", ".join(sorted(waiting)[:3])
        raise Failure(f"push is not complete: {names} changes all the time", hint=HINT)


def _entry_or_none(root: Path, path: str) -> Entry | None:
    try:
        return read_entry(root, path)
    except OSError:
        return None


def _send_listed(transfer: Transfer, changes: dict[str, Change], round_: int) -> set[str]:
    """Send these paths and nothing below them; the paths that arrived."""
    argv = ["--no-implied-dirs", "--from0", "--files-from=-"]
    if any(change.altered for change in changes.values()):
        argv.append("--ignore-times")
    reasons = {path: change.reason for path, change in changes.items()}
    sizes = [change.local.size for change in changes.values() if change.local]
    paths = encode_paths(f"./{path}" for path in changes)
    sent, result = _send(transfer, argv, (sum(sizes), len(sizes)), reasons.get, stdin=paths, round_=round_)
    return set(changes) if result.complete else set(changes).intersection(sent)


def first_push(transfer: Transfer, baseline: Baseline) -> bool:
    """Send everything to an empty folder; whether nothing changed meanwhile, on either side."""
    root, tools = transfer.root, transfer.tools
    filters = filter_argv(root)
    baseline.environments = local_environments(root, filters, tools)
    filters += environment_filters(baseline.environments)
    size = _first_push_size(transfer, filters)
    start = file_system_time(root)
    argv = ["--recursive", "--keep-dirlinks", "--ignore-existing", "--info=skip1", *filters]
    announce = _announcer(root, baseline)
    sent, result = _send(transfer, argv, size, lambda _: "nothing there yet", on_path=announce)
    say_environments(transfer, baseline.environments - environments_in(sent), result)
    entries = [(path, _untouched_since(root, path, start)) for path in sent]
    baseline.record_new((path, entry) for path, entry in entries if entry)
    baseline.seen = touched_since(transfer.remote, tools, "").now
    # What somebody else has put there meanwhile was not sent.
    is_shared = any(line.endswith(" exists") for line in result.lines())
    return not is_shared and all(entry for _, entry in entries)


def _first_push_size(transfer: Transfer, filters: Sequence[str]) -> tuple[int, int]:
    """The bytes and files of a first push, where they matter: for the bar, or to name the biggest items."""
    words = transfer.tools.capture(["du", "-sk", f"{transfer.root}"]).stdout.split()
    at_most = int(words[0]) * 1024 if words and words[0].isdigit() else WORTH_A_WORD
    if at_most < WORTH_A_WORD and not shows_bar(at_most):
        return 0, 0
    entries = _local_files(transfer.root, filters, transfer.tools)
    say_biggest(entries)
    return total_size(entries), len(entries)


def _local_files(root: Path, filters: Sequence[str], tools: Tools) -> dict[str, Entry]:
    """All files here that these filters let travel."""
    named = listed(root, filters, tools)
    entries = ((path, _entry_or_none(root, path)) for path, is_folder in named if not is_folder)
    return {path: entry for path, entry in entries if entry and entry.kind is EntryKind.FILE}


def files_to_push(root: Path, tools: Tools) -> dict[str, Entry]:
    """All files of the project that would travel to an empty folder."""
    filters = filter_argv(root)
    filters += environment_filters(local_environments(root, filters, tools))
    return _local_files(root, filters, tools)


def say_biggest(entries: dict[str, Entry]) -> None:
    """Name the biggest items of a big push, and how to leave one out."""
    total = total_size(entries)
    if total < WORTH_A_WORD:
        return
    items = biggest(entries)
    named = ", ".join(f"{name} ({size_text(size)})" for name, size in items)
    output.step(f"{size_text(total)} to push; the biggest: {named}")
    output.hint(f"a line `/{items[0][0]}` in .rsyncignore keeps that one here")


def _announcer(root: Path, baseline: Baseline) -> Callable[[str], None]:
    """A function that takes in each path that is sent, and announces them every now and then."""
    waiting: list[str] = []
    announced = time.monotonic()

    def announce(sent: str) -> None:
        nonlocal announced
        waiting.append(sent)
        if time.monotonic() - announced >= ANNOUNCING:
            paths = [path for path in waiting if path not in ("", ".")]
            baseline.announce((path, entry) for path in paths if (entry := _entry_or_none(root, path)))
            waiting.clear()
            announced = time.monotonic()

    return announce


def _untouched_since(root: Path, path: str, start: int) -> Entry | None:
    """The entry of a path here, where it has not been touched since then."""
    with contextlib.suppress(OSError):
        entry = read_entry(root, path)
        if entry and (entry.kind is not EntryKind.FILE or os.stat(f"{root}/{path}").st_ctime_ns < start):
            return entry
    return None


def look_after_push(transfer: Transfer, paths: Iterable[str]) -> dict[str, Seen]:
    """What stands on the instance, right after a push, at these paths: what was sent, the copies it made."""
    asked = set(paths)
    if not asked:
        return {}
    stdin = encode_paths(f"./{path}" for path in sorted(asked))
    answer = ask_tree(transfer.remote, transfer.tools, "look_kept", job_id=transfer.job_id, stdin=stdin)
    return read_look(answer, asked)


def unexpected_copies(copies: Copies, there: dict[str, Seen]) -> dict[str, tuple[str, Seen]]:
    """Copies on the instance of what had changed after it was compared, each with its original's path."""
    return {
        copy: (path, seen)
        for copy, (path, before) in copies.items()
        if (seen := there.get(copy))
        and seen.entry.kind in (EntryKind.FILE, EntryKind.LINK)
        and not _is_expected(before, seen.entry)
    }


def _is_expected(before: Entry | None, copy: Entry) -> bool:
    return before is not None and (before.kind is EntryKind.FOLDER or may_be_same(before, copy))
