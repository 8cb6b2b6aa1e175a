"""What is fetched in one go arrives as what is fetched one by one: whatever stands among it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.two_sides import OWN, Sides, put, snapshot

from ec2tasks.base.errors import Failure
from ec2tasks.sync import stage
from ec2tasks.sync.apply import PullItem
from ec2tasks.sync.entries import Entry, EntryKind

ODD = ["plain", "sp ace", "quo'te", "new\nline", "ünï", "*", "[a]", "a\\b", "-x", "\udcff"]
# Says of what it fetches as a whole that some can't be read there, as rsync does to who is not root.
UNREADABLE = """file #!/bin/sh
{rsync} "$@" || exit
case "$*" in *--recursive*incoming*)
    echo 'rsync: [sender] send_files failed to open "/p/new/closed": Permission denied (13)' >&2; exit 23 ;;
esac
"""


def _fill(folder: Path) -> None:
    """Everything that can stand in a folder there."""
    for name in ODD:
        put(folder / f"deep/{name}", f"file of {len(name)}")
    put(folder / "deep/run.sh", "file x")
    (folder / "deep/run.sh").chmod(0o755)
    (folder / "empty/er").mkdir(parents=True)
    (folder / "shut").mkdir(mode=0o555)
    os.utime(folder / "deep/plain", ns=(1, 1_700_000_000_123_456_789))
    put(folder / "inner", "link deep")
    put(folder / "up", "link ../../elsewhere")
    put(folder / "out", f"link {folder.parent.parent / 'elsewhere'}")
    put(folder / "nowhere", "link /nothing/here")
    put(folder / "skip/this", "file ignored")
    put(folder / "env/pyvenv.cfg", "file ")
    put(folder / "env/bin/python", "file ")
    put(folder / "x/.git/hooks/post-checkout", "file evil")
    put(folder / "note.ec2-20260101-000000-abc1234", "file copy")
    os.mkfifo(folder / "pipe")


def _fetched(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, str], dict[str, int], str]:
    """What such a folder is here after a pull, the modes and times, and what was said."""
    sides = Sides(folder)
    (sides.local / ".rsyncignore").write_text("skip/\n")
    put(sides.local / "code.py", "file print(1)")
    sides.sync()
    put(sides.home / "elsewhere/far", "file behind")
    _fill(sides.remote / "results")
    capsys.readouterr()
    sides.sync()
    assert not list((sides.local / OWN).glob("incoming/*"))
    stats = {path: (sides.local / path).lstat() for path in snapshot(sides.local)}
    modes = {path: status.st_mode for path, status in stats.items()}
    times = {path: status.st_mtime_ns for path, status in stats.items() if path.endswith("plain")}
    said = capsys.readouterr().err.replace(str(folder), "")
    assert not sides.differences()
    return snapshot(sides.local), modes | times, said


def test_a_new_folder_arrives_alike_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_by_one = _fetched(tmp_path / "a", capsys)
    monkeypatch.setattr(stage, "MANY", 1)
    assert _fetched(tmp_path / "b", capsys) == one_by_one
    assert {f"results/deep/{name}" for name in ODD} <= set(one_by_one[0])


def test_what_breaks_in_a_new_folder_keeps_no_change_elsewhere_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MANY", 1)
    sides = Sides(tmp_path)
    put(sides.local / "code.py", "file 1")
    sides.sync()
    put(sides.remote / "new/closed", "file x")
    put(sides.remote / "code.py", "file changed")
    tools = tmp_path / "tools"
    put(tools / "rsync", UNREADABLE.format(rsync=shutil.which("rsync")))
    (tools / "rsync").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    with pytest.raises(Failure, match="Permission denied"):
        sides.sync()
    assert (sides.local / "code.py").read_text() == "changed"


def _item(path: str, kind: EntryKind, local: Entry | None = None, *, behind_link: bool = False) -> PullItem:
    return PullItem(
        source=path, path=path, remote=Entry(kind), local=local, reason="", behind_link=behind_link
    )


def test_only_what_is_new_as_a_whole_is_fetched_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MANY", 3)
    folder, file = EntryKind.FOLDER, EntryKind.FILE
    changed = [_item("old", folder, Entry(folder, 0o700)), _item("old/a", file), _item("b", file)]
    new = [_item("new", folder), _item("new/in", folder), _item("new/in/c", file)]
    behind = _item("new/out", folder, behind_link=True)
    assert stage.new_folders([*changed, *new, behind]) == ({"new"}, {item.path for item in new})
    assert stage.new_folders([*changed, *new[:2]]) == (set(), set())
