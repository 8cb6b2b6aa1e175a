"""A full disk, a read-only one, here: one line before anything is launched; `down` works all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.project import CommandResult, ScratchProject

FILLED = 'dd if=/dev/zero of="$1/fill" bs=1k status=none || true'
FULL = f'mount -t tmpfs -o size=64k tmpfs "$1"; {FILLED}'
# The same with what was there before.
FILLED_UP = f"""kept=$(mktemp -d); cp -a "$1/." "$kept"; mount -t tmpfs -o size=2m tmpfs "$1"
cp -a "$kept/." "$1"; rm -r "$kept"; {FILLED}"""
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"'


def _with(project: ScratchProject, mounts: str, folder: Path, *words: str) -> CommandResult:
    """Run `ec2tasks WORDS` where this folder is so, for that process alone."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    script = f'set -e; {mounts} 2>/dev/null; cd "$2"; shift 2; exec ec2tasks "$@"'
    return project.call(*unshare, "bash", "-c", script, "_", str(folder), str(project.root), *words)


def _is_refused(said: CommandResult, folder: Path, why: str) -> None:
    assert said.code == 125, said.err
    message, hint = said.err.splitlines()[-2:]
    assert message.startswith(f"ec2tasks: `{folder}")
    assert why in message
    assert hint.startswith("hint: ")
    assert "Traceback" not in said.err
    assert "launch" not in said.err


@pytest.mark.parametrize("words", [("run", "true"), ("up",), ("make", "eval"), ("shell",), ("sync",)])
@pytest.mark.parametrize(
    ("mounts", "why"), [(FULL, "No space left on device"), (READ_ONLY, "Read-only file system")]
)
def test_a_home_that_takes_nothing(
    mounts: str, why: str, words: tuple[str, ...], local_project: ScratchProject
) -> None:
    local_project.write("Makefile", "eval:\n\ttrue\n")
    home = Path(local_project.environ["HOME"])
    _is_refused(_with(local_project, mounts, home, *words), home, why)


@pytest.mark.parametrize("words", [("run", "true"), ("run", "--dry", "true"), ("sync",), ("sync", "--diff")])
@pytest.mark.parametrize(
    ("mounts", "why"), [(FULL, "No space left on device"), (READ_ONLY, "Read-only file system")]
)
def test_a_project_that_takes_nothing(
    mounts: str, why: str, words: tuple[str, ...], local_project: ScratchProject
) -> None:
    said = _with(local_project, mounts, local_project.root, *words)
    _is_refused(said, local_project.root, why)


def test_what_runs_can_be_ended_from_a_full_home(local_project: ScratchProject) -> None:
    up = local_project.ec2tasks("up")
    assert up.code == 0, up.err
    said = _with(local_project, FILLED_UP, Path(local_project.environ["HOME"]), "down")
    assert said.code == 0, said.err
    assert local_project.status() is None
