"""An instance that lies: nothing is written outside the project, nothing ignored is sent or fetched."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.two_sides import Sides, put, snapshot

from ec2tasks.base.errors import Failure
from ec2tasks.remote.folder import RemoteFolder


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a secret that is ignored, and files above it that must stay as they are."""
    found = Sides(tmp_path / "work" / "deep")
    (tmp_path / ".profile").write_text("dear")
    (found.local / ".rsyncignore").write_text(".env\n*.ckpt\n/data/\n")
    put(found.local / ".env", "file SECRET")
    put(found.local / "data/rows", "file PRIVATE")
    put(found.local / "code.py", "file print(1)")
    found.sync()
    return found


def outside(sides: Sides) -> dict[str, str]:
    """What stands around the project, but for the instance's own side and its tools."""
    top = sides.local.parent.parent.parent
    own = (sides.local, sides.home, top / "tools", sides.shell)
    return {
        f"{path}": path.read_text() if path.is_file() else ""
        for path in top.rglob("*")
        if not any(path.is_relative_to(folder) for folder in own)
    }


def lying(sides: Sides, tool: str, script: str) -> None:
    """Let a tool on the instance be this script; `$real` is the true one."""
    tools = sides.local.parent.parent.parent / "tools"
    tools.mkdir(exist_ok=True)
    program = tools / tool
    program.write_text(f"#!/bin/bash\nreal=/usr/bin/{tool}\n{script}\n")
    program.chmod(0o755)
    path = f"PATH={shlex.quote(str(tools))}:{os.environ['PATH']}"
    plain = sides.way
    sides.use_shell(f'export {path}\nexec sh -c "$*"')

    def way() -> RemoteFolder:
        remote = plain()
        return replace(remote, remotely=lambda argv: ["env", path, *remote.remotely(argv)])

    sides.way = way  # type: ignore[method-assign]


OUTWARD = ["./../../.profile", "/etc/ec2tasks-never", "./.ec2tasks/project", "./x/../../up", "x", "./other"]
PLAIN = "f 644 5 1700000000.5 77 1700000000.5"


@pytest.mark.parametrize("path", OUTWARD)
@pytest.mark.parametrize("when", ["always", "beside what is there"])
def test_a_path_that_find_makes_up_is_refused(sides: Sides, path: str, when: str) -> None:
    forged = f"printf '{path}\\0{PLAIN}\\0\\0'"
    lying(sides, "find", f'{forged}\nexec $real "$@"' if when != "always" else forged)
    put(sides.remote / "result", "file dear")
    before = outside(sides), snapshot(sides.local)
    with pytest.raises(Failure, match="instance's answer is refused") as refusal:
        sides.sync()
    assert refusal.value.hint
    assert "shell" in refusal.value.hint
    now = snapshot(sides.local)
    assert (outside(sides), now) == before
    assert not Path("/etc/ec2tasks-never").exists()


FORGED_LINES = [
    "could not make way for new file: .env",
    "could not make way for new directory: data",
    "cannot delete non-empty directory: data",
    'rsync: [generator] recv_generator: failed to stat "{remote}/.env": Permission denied (13)',
    'skipping non-regular file "data/rows"',
    'symlink has no referent: ".env"',
    "<f+++++++++ .env",
    "*deleting   .env",
    "*deleting   ../../.profile",
    'rsync: [sender] link_stat "/x" failed: No such file or directory (2)',
    "could not make way for new file: ../../.profile",
]


@pytest.mark.parametrize("line", FORGED_LINES)
@pytest.mark.parametrize("stream", ["stderr of the login", "stderr of rsync", "stdout of rsync"])
def test_a_line_that_looks_like_rsync_s_sends_nothing_ignored(sides: Sides, line: str, stream: str) -> None:
    line = shlex.quote(line.format(remote=sides.remote))
    if stream == "stderr of the login":
        sides.use_shell(f'printf "%s\\n" {line} >&2\nexec sh -c "$*"')
    else:
        # What the other side's rsync has the one here print comes by its own protocol.
        sides.use_shell(f'sh -c "$*"; code=$?; printf "%s\\n" {line} >&2; exit $code')
    put(sides.local / "code.py", "file print(2)")
    put(sides.remote / "result", "file dear")
    before = outside(sides)
    sides.sync()
    assert (sides.remote / "code.py").read_text() == "print(2)"
    assert (sides.local / "result").read_text() == "dear"
    assert not (sides.remote / ".env").exists()
    assert not (sides.remote / "data").exists()
    assert outside(sides) == before


def test_an_ignored_name_that_the_instance_makes_up_is_not_fetched(sides: Sides) -> None:
    """Its rsync applies no filter: what it lists as its own comes to be looked at, and no further."""
    wrapper = (
        'for word; do shift; case $word in --exclude*|--filter*) ;; *) set -- "$@" "$word" ;; esac; done'
    )
    lying(sides, "rsync", f'{wrapper}\nexec $real "$@"')
    put(sides.remote / ".env", "file THEIRS")
    put(sides.remote / "w.ckpt", "file big")
    put(sides.remote / "data/rows", "file THEIRS")
    put(sides.remote / "result", "file dear")
    sides.sync()
    assert (sides.local / ".env").read_text() == "SECRET"
    assert (sides.local / "data/rows").read_text() == "PRIVATE"
    assert (sides.remote / ".env").read_text() == "THEIRS"
    assert not (sides.local / "w.ckpt").exists()
    assert (sides.local / "result").read_text() == "dear"


def test_nothing_comes_into_the_repository_here_but_where_that_is_wanted(sides: Sides) -> None:
    put(sides.local / ".git/config", "file mine")
    put(sides.remote / ".git/hooks/post-checkout", "file theirs")
    sides.sync()
    assert not (sides.local / ".git/hooks").exists()
    assert not (sides.remote / ".git/config").exists()
    (sides.local / ".rsyncignore").write_text("+ /.git/\n.env\n")
    sides.sync()
    assert (sides.remote / ".git/config").read_text() == "mine"


def test_what_is_ignored_stays_behind_a_link_there_too(sides: Sides, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    put(disk / "w.ckpt", "file huge")
    put(disk / "sub/w2.ckpt", "file huge")
    put(disk / "sub/result", "file dear")
    (sides.remote / "out").symlink_to(disk)
    sides.sync()
    assert (sides.local / "out/sub/result").read_text() == "dear"
    assert not list(sides.local.rglob("*.ckpt"))
    assert sides.differences() == []


def test_a_link_that_arrives_is_never_written_through(sides: Sides) -> None:
    """First a link comes that stays in the project by its words, then a file below it."""
    put(sides.remote / "a/b/c", "folder x")
    sides.sync()
    (sides.remote / "up").symlink_to("a/b")
    sides.sync()
    assert (sides.local / "up").is_symlink()
    lying(
        sides,
        "find",
        f'case "$*" in *maxdepth*) printf \'./up/c/new\\0{PLAIN}\\0\\0\' ;; *) exec $real "$@" ;; esac',
    )
    put(sides.remote / "result", "file dear")
    with pytest.raises(Failure, match="refused"):
        sides.sync()


@pytest.mark.parametrize("inner", ["", "incoming", "replaced", "synced", "logs"])
def test_a_link_in_the_place_of_our_own_folder_is_refused(tmp_path: Path, inner: str) -> None:
    """As a cloned repository can hold one."""
    sides = Sides(tmp_path / "work")
    (tmp_path / "elsewhere").mkdir()
    own = sides.local / ".ec2tasks"
    if inner:
        own.mkdir()
    (own / inner if inner else own).symlink_to(tmp_path / "elsewhere")
    put(sides.local / "code.py", "file print(1)")
    with pytest.raises(Failure, match="is a link"):
        sides.sync()
    assert list((tmp_path / "elsewhere").iterdir()) == []
