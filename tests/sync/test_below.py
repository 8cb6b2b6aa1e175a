"""Nothing is written through a link, whatever it is and wherever it leads."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ec2tasks.sync.below import Below, open_below
from ec2tasks.sync.gate import MOST_NAMES, path_flaw


def _ignore(_result: object) -> None:
    pass


DEEDS: dict[str, Callable[[Below, str], None]] = {
    "rename": lambda below, path: below.rename("staged", path),
    "move": lambda below, path: below.move("staged", path),
    "new": lambda below, path: _ignore(below.move_new(["staged"], "", path)),
    "copy": lambda below, path: below.copy("staged", path),
    "link": lambda below, path: below.make_link(path, "staged"),
    "folder": lambda below, path: below.make_folder(path, 0o755),
    "mode": lambda below, path: below.set_mode(path, 0o600),
    "time": lambda below, path: below.set_time(path, 1),
    "remove": lambda below, path: below.remove(path),
    "remove folder": lambda below, path: below.remove_folder(path),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with links out of it, a staged file, and files outside that must stay as they are."""
    (tmp_path / "outside/folder").mkdir(parents=True)
    (tmp_path / "outside/file").write_text("dear")
    root = tmp_path / "project"
    (root / "inner").mkdir(parents=True)
    (root / "staged").write_text("new")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "inner/up").symlink_to("../..")
    return root


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What stands outside: modes, times and inodes."""
    paths = [folder, *folder.rglob("*")]
    return {f"{path}": (s.st_mode, s.st_mtime_ns, s.st_ino) for path in paths for s in [path.lstat()]}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(
    "path",
    [
        *("out/file", "out/new", "out/folder", "out/a/b", "inner/up/outside/file", "inner/up/new"),
        *("../outside/file", "../new", "/tmp/ec2tasks-never", "inner/../../new", "", ".", "inner/./x"),
    ],
)
def test_nothing_outside_changes(root: Path, deed: str, path: str) -> None:
    before = state_of(root.parent / "outside"), sorted(root.parent.iterdir())
    with open_below(root) as below, contextlib.suppress(OSError):
        DEEDS[deed](below, path)
    assert (state_of(root.parent / "outside"), sorted(root.parent.iterdir())) == before
    assert not Path("/tmp/ec2tasks-never").exists()
    assert (root / "staged").read_text() == "new"


@pytest.mark.parametrize("deed", ["mode", "time"])
def test_a_link_s_own_target_stays_as_it_is(root: Path, deed: str) -> None:
    (root / "leads").symlink_to(root.parent / "outside/file")
    before = state_of(root.parent / "outside")
    with open_below(root) as below, contextlib.suppress(OSError):
        DEEDS[deed](below, "leads")
    assert state_of(root.parent / "outside") == before


def test_what_it_is_for(root: Path) -> None:
    with open_below(root) as below:
        below.make_folder("a/b", 0o711)
        below.move("staged", "a/b/file")
        below.copy("a/b/file", "kept/a/file")
        below.make_link("a/link", "b/file")
        below.set_mode("a/b/file", 0o640)
        below.set_time("a/b/file", 1_500_000_001)
        assert below.mode_at("a/none") is None
        assert below.mode_at("out/file") is None, "what is behind a link is not there"
    status = (root / "a/link").stat()
    assert (root / "kept/a/file").read_text() == "new"
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 1_500_000_001)
    assert (root / "a/b").stat().st_mode & 0o777 == 0o711


def test_new_files_take_no_place_that_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["file", "other", "taken", "behind", "link", "folder", "gone"]
    (root / "from/folder").mkdir(parents=True)
    for name in names[:4]:
        (root / "from" / name).write_text(name)
    (root / "from/link").symlink_to("file")
    (root / "inner/taken").write_text("mine")
    (root / "inner/behind").symlink_to("nowhere")
    with open_below(root) as below:
        assert below.move_new(names, "from", "missing") == {}
        monkeypatch.setattr(os, "rename", _another_file_system)
        assert below.move_new(names, "from", "inner") == {}
        monkeypatch.undo()
        moved = below.move_new(names, "from", "inner")
    assert {name: status.st_size for name, status in moved.items()} == {"file": 4, "other": 5}
    assert {path.name for path in (root / "from").iterdir()} == set(names) - {"file", "other", "gone"}
    assert (root / "inner/taken").read_text() == "mine"
    assert (root / "inner/behind").readlink() == Path("nowhere")


def _another_file_system(*_names: str, **_folders: int) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_from_another_file_system_a_file_comes_whole_with_its_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    os.utime(root / "staged", ns=(5, 5))

    def across(source: str, target: str, **folders: int) -> None:
        if source == "staged":
            raise OSError(errno.EXDEV, "another file system")
        real(source, target, **folders)

    monkeypatch.setattr(os, "replace", across)
    (root / "file.txt").write_text("old")
    with open_below(root) as below:
        below.move("staged", "file.txt")
    assert ((root / "file.txt").read_text(), (root / "file.txt").stat().st_mtime_ns) == ("new", 5)
    assert sorted(path.name for path in root.iterdir()) == ["file.txt", "inner", "out"]


def test_a_path_of_as_many_folders_as_pass_the_gate_is_made(root: Path) -> None:
    path = "/".join("a" * MOST_NAMES)
    assert path_flaw(path) is None
    with open_below(root) as below:
        below.make_folder(path, 0o755)
        assert below.is_folder(path)
