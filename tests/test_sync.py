from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Shop
from test_access import make_host

from ec2tasks.sync import (
    KEPT_REPLACED,
    Direction,
    Tree,
    failure,
    filter_argv,
    is_outward,
    prune_replaced,
    rsync_argv,
)


def test_what_never_moves(tmp_path: Path) -> None:
    assert "--exclude=/.ec2tasks/" in filter_argv(tmp_path, Direction.PUSH)
    assert "--exclude=.venv" in filter_argv(tmp_path, Direction.PULL)
    (tmp_path / ".rsyncignore").write_text("*.tmp\n")
    found = filter_argv(tmp_path, Direction.PUSH)
    assert found == ["--exclude=/.ec2tasks/", f"--exclude-from={tmp_path / '.rsyncignore'}"]


@pytest.mark.parametrize("direction", Direction)
def test_the_ends_of_a_move(direction: Direction, tmp_path: Path) -> None:
    tree = Tree(here=tmp_path / "a b", there="a b", run_id="r")
    argv = rsync_argv(make_host(tmp_path), tree, direction, verbose=False)
    ends = argv[argv.index("--") + 1 :]
    expected = [f"{tmp_path}/a b/", "ubuntu@127.0.0.1:a b/"]
    assert ends == (expected if direction is Direction.PUSH else expected[::-1])


def test_only_the_last_runs_replaced_files_are_kept(tmp_path: Path) -> None:
    runs = [f"2026010{n}-000000-abc" for n in range(1, 9)]
    for run in runs:
        (tmp_path / ".ec2tasks" / "replaced" / run).mkdir(parents=True)
    prune_replaced(tmp_path)
    left = sorted(one.name for one in (tmp_path / ".ec2tasks" / "replaced").iterdir())
    assert left == runs[-KEPT_REPLACED:]


def test_a_move_that_did_not_finish_says_why_and_how_to_go_on() -> None:
    found = failure(Direction.PULL, 23, 'rsync: "x" failed: Permission denied (13)\nrsync error: some files')
    assert "Permission denied" in found.what
    assert found.hint == "`ec2tasks sync --pull` goes on from here"


NAMES = ["plain", "a b", 'it\'s "quoted"', "new\nline", "é☃", "-dash", "$HOME", "sub/deep/file", "*star?"]


def test_files_of_any_name_go_there_and_come_back(warm: Shop) -> None:
    for name in NAMES:
        warm.write(f"names/{name}", name)
    script = warm.write("names/run me", "#!/bin/sh\n")
    script.chmod(0o755)
    (warm.root / "names" / "empty").mkdir()
    (warm.root / "names" / "link").symlink_to("plain")
    command = (
        'cd names && find . -type f -print0 | while IFS= read -r -d "" f; do cp -p -- "$f" "$f.back"; done; '
        "test -x 'run me' && test -d empty && test -L link && mkdir came && date > came/new"
    )
    said = warm.ec2tasks("run", command)
    assert said.code == 0, said.err
    for name in NAMES:
        assert warm.read(f"names/{name}.back") == name
    assert os.access(warm.root / "names" / "run me.back", os.X_OK)
    assert (warm.root / "names" / "came" / "new").exists()
    assert (warm.root / "names" / "link").is_symlink()


def test_what_a_pull_replaces_is_kept(warm: Shop) -> None:
    warm.write("kept.txt", "mine\n")
    assert warm.ec2tasks("sync", "--push").code == 0
    assert warm.ec2tasks("run", "--no-rsync", "echo theirs > kept.txt").code == 0
    assert warm.ec2tasks("sync", "--pull").code == 0
    assert warm.read("kept.txt") == "theirs\n"
    copies = list((warm.root / ".ec2tasks" / "replaced").glob("*/kept.txt"))
    assert [one.read_text() for one in copies] == ["mine\n"]


def test_ignored_files_stay_where_they_are(warm: Shop) -> None:
    warm.write(".rsyncignore", "*.secret\n")
    warm.write("a.secret", "x")
    try:
        said = warm.ec2tasks("run", "ls -a; touch b.secret c.result")
    finally:
        (warm.root / ".rsyncignore").unlink()
        warm.ec2tasks("run", "--no-rsync", "rm .rsyncignore")
    assert "a.secret" not in said.out
    assert not (warm.root / "b.secret").exists()
    assert (warm.root / "c.result").exists()


def test_verbose_shows_each_file_and_its_direction(warm: Shop) -> None:
    warm.write("shown-push", "x")
    said = warm.ec2tasks("run", "--no-quiet", "touch shown-pull")
    assert "push shown-push" in said.err
    assert "pull shown-pull" in said.err
    assert "shown-push" not in warm.ec2tasks("run", "touch shown-push; true").err


def test_without_rsyncignore_what_stays_behind_is_said(warm: Shop) -> None:
    said = warm.ec2tasks("run", "true")
    assert "no .rsyncignore: left out are .git, .venv" in said.err


def test_no_rsync_moves_nothing(warm: Shop) -> None:
    warm.write("stays-here", "")
    said = warm.ec2tasks("run", "--no-rsync", "ls; touch stays-there")
    assert "stays-here" not in said.out
    assert not (warm.root / "stays-there").exists()


def test_git_sees_nothing_of_ours(warm: Shop) -> None:
    warm.call("git", "init", "-q")
    said = warm.call("git", "status", "--porcelain", "--untracked-files=all", ".ec2tasks")
    assert said.out == ""


def test_links_that_leave_the_project_stay_links_here_and_travel_as_content(
    warm: Shop, tmp_path: Path
) -> None:
    outside = tmp_path / "dataset"
    outside.mkdir()
    (outside / "rows").write_text("1\n")
    (tmp_path / "one file").write_text("2\n")
    links = {"data": outside, "file[1]": tmp_path / "one file", "nowhere": tmp_path / "missing"}
    for name, target in links.items():
        (warm.root / name).symlink_to(target)
    said = warm.ec2tasks("run", "cat data/rows 'file[1]'; echo more >> 'file[1]'; ls nowhere; test ! -L data")
    assert (said.code, said.out) == (0, "1\n2\n"), said.err
    for name, target in links.items():
        assert (warm.root / name).readlink() == target
        (warm.root / name).unlink()


def test_what_a_push_replaces_there_comes_home(warm: Shop) -> None:
    warm.write("model.ckpt", "old\n")
    assert warm.ec2tasks("run", "--no-rsync", "echo newer > model.ckpt").code == 0
    assert warm.ec2tasks("sync").code == 0
    copies = (warm.root / ".ec2tasks" / "replaced").glob("*/model.ckpt")
    assert "newer\n" in {one.read_text() for one in copies}


@pytest.mark.parametrize(
    ("link", "target", "outward"),
    [
        ("a", "b", False),
        ("sub/a", "../b", False),
        ("sub/a", "../../b", True),
        ("a", "sub/../../b", True),
        ("a", "/etc/hosts", True),
        ("a", "..b", False),
    ],
)
def test_which_links_lead_out(link: str, target: str, outward: bool) -> None:
    assert is_outward(Path(link), Path(target)) is outward
