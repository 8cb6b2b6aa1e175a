"""The project's files, there and back, by rsync (https://download.samba.org/pub/rsync/rsync.1)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ec2tasks import report
from ec2tasks.access import Host, rsync_shell
from ec2tasks.errors import Failure
from ec2tasks.process import Tools

IGNORE_FILE = ".rsyncignore"
OWN_FOLDER = ".ec2tasks"
DEFAULT_IGNORED = (
    ".git",
    ".venv",
    "__pycache__",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "node_modules",
)
KEPT_REPLACED = 5  # runs whose replaced files are kept
# rsync's exit codes that a user can do something about.
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
VANISHED = 24  # files that went away while rsync looked at them: what is left has been moved whole


class Direction(Enum):
    """Which way the files move; the value is the word shown."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The project's folder here and there."""

    here: Path
    there: str
    run_id: str


def own_filters(root: Path, direction: Direction) -> list[str]:
    """What is ours: nothing of .ec2tasks/ moves but, to here, the copies of what a push replaced there.

    A link that leads out of the project travels as what it leads to, and is not replaced here by that on the
    way back; one that leads nowhere stays.
    """
    outward = outward_links(root)
    if direction is Direction.PULL:
        kept = [f"--include=/{OWN_FOLDER}/", f"--include=/{OWN_FOLDER}/replaced/***"]
        return [*kept, f"--exclude=/{OWN_FOLDER}/*", *(f"--exclude=/{_escaped(one)}" for one in outward)]
    dangling = [one for one in outward if not (root / one).exists()]
    return [f"--exclude=/{OWN_FOLDER}/", *(f"--exclude=/{_escaped(one)}" for one in dangling)]


def _escaped(path: str) -> str:
    """A path as a pattern of rsync's that fits it alone."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


def outward_links(root: Path) -> list[str]:
    """The links of the project that rsync calls unsafe, by their path in it."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [one for one in folders if one not in (OWN_FOLDER, *DEFAULT_IGNORED)]
        place = Path(folder)
        links = (path for name in (*folders, *files) if (path := place / name).is_symlink())
        known = ((path.relative_to(root), path.readlink()) for path in links)
        found += [str(link) for link, target in known if is_outward(link, target)]
    return found


def is_outward(link: Path, target: Path) -> bool:
    """Whether a link at that path of the project, to that target, is absolute or leads out by its `..`."""
    return target.is_absolute() or Path(os.path.normpath(link.parent / target)).parts[:1] == ("..",)


def filter_argv(root: Path, direction: Direction) -> list[str]:
    """What never moves: our own, and what .rsyncignore says, or a short list where there is none."""
    own = own_filters(root, direction)
    if (root / IGNORE_FILE).is_file():
        return [*own, f"--exclude-from={root / IGNORE_FILE}"]
    return [*own, *(f"--exclude={one}" for one in DEFAULT_IGNORED)]


def rsync_argv(host: Host, tree: Tree, direction: Direction, *, verbose: bool) -> list[str]:
    """The rsync that moves the project one way.

    Whatever it replaces is first moved to .ec2tasks/replaced/RUN, so that nothing is overwritten without
    a copy. Owners and groups stay behind: the users here and there are not the same.
    """
    there = f"{host.login}:{tree.there}/"
    ends = (f"{tree.here}/", there) if direction is Direction.PUSH else (there, f"{tree.here}/")
    return [
        "rsync",
        "--recursive",
        "--links",
        "--perms",
        "--times",
        "--keep-dirlinks",
        "--copy-unsafe-links",
        # Apple's rsync has no such option; it is only for names that a shell there would read otherwise.
        *(["--protect-args"] if shlex.quote(tree.there) != tree.there else []),
        "--backup",
        f"--backup-dir={OWN_FOLDER}/replaced/{tree.run_id}",
        *(["--out-format=%n"] if verbose else []),
        *filter_argv(tree.here, direction),
        f"--rsh={rsync_shell(host)}",
        "--",
        *ends,
    ]


def move(host: Host, tree: Tree, direction: Direction, tools: Tools, *, verbose: bool) -> None:
    """Move the project one way. Raises Failure where not everything arrived; what arrived stays."""
    prepare_here(tree.here)
    argv = rsync_argv(host, tree, direction, verbose=verbose)
    with tools.start(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as rsync:
        errors = _follow(rsync, lambda name: report.step(f"{direction.value} {name}"))
    if rsync.returncode not in (0, VANISHED):
        raise failure(direction, rsync.returncode, errors)
    if direction is Direction.PULL:
        prune_replaced(tree.here)


def _follow(rsync: subprocess.Popen[bytes], show: Callable[[str], None]) -> str:
    """Show the names that rsync prints as they come; what it says on stderr, at the end."""
    import threading

    said: list[bytes] = []
    assert rsync.stdout is not None
    assert rsync.stderr is not None
    reader = threading.Thread(target=lambda: said.extend(rsync.stderr or ()), daemon=True)
    reader.start()
    try:
        for line in rsync.stdout:
            show(line.decode(errors="replace").rstrip("\n"))
        rsync.wait()
    except BaseException:
        rsync.terminate()
        raise
    finally:
        reader.join(timeout=5)
    return b"".join(said).decode(errors="replace")


def failure(direction: Direction, code: int, errors: str) -> Failure:
    """What an rsync that did not finish means."""
    lines = [line for line in errors.splitlines() if line and not line.startswith("rsync error:")]
    reason = REASONS.get(code, f"rsync ended with {code}")
    said = "; ".join(lines[:3])
    return Failure(
        f"{direction.value} is not complete: {reason}" + (f": {said}" if said else ""),
        hint=f"`ec2tasks sync --{direction.value}` goes on from here",
    )


def prepare_here(root: Path) -> None:
    """The project's own folder of ec2tasks, which git does not see."""
    folder = root / OWN_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"`{folder}` can't be written: {error.strerror}", hint="check the folder's rights and the disk"
        ) from error


def prune_replaced(root: Path) -> None:
    """Keep the replaced files of the last runs only; run ids sort by time."""
    folder = root / OWN_FOLDER / "replaced"
    runs: Sequence[Path] = sorted(folder.iterdir()) if folder.is_dir() else []
    for old in runs[:-KEPT_REPLACED]:
        shutil.rmtree(old, ignore_errors=True)


def say_default_ignored(root: Path) -> None:
    """Say what stays behind where the project does not say it itself."""
    if not (root / IGNORE_FILE).is_file():
        report.step(f"no {IGNORE_FILE}: left out are {', '.join(DEFAULT_IGNORED)}")
