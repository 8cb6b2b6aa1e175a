from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.two_sides import Sides

from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import Tools
from ec2tasks.sync.ignore import DEFAULT_IGNORED, IGNORE_FILE, filter_argv
from ec2tasks.sync.links import OutwardLink, changed_links, ignored_names, outward_links
from ec2tasks.sync.withheld import WITHHELD_FILE, path_pattern, withheld_paths, withhold


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "home" / "shop"
    root.mkdir(parents=True)
    return root


def found(root: Path) -> dict[str, OutwardLink]:
    return {link.path: link for link in outward_links(root, Tools(), root.parent)}


def put(path: Path, text: str = "secret") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def test_a_link_that_leads_out_is_found_and_no_other(root: Path) -> None:
    put(root.parent / "data" / "file")
    put(root / "own" / "file")
    link(root / "out", "../data")
    link(root / "deep" / "out", str(root.parent / "data" / "file"))
    link(root / "in", "own")
    link(root / "nowhere", "../gone")
    link(root / ".venv" / "bin" / "python", "/usr/bin/env")
    links = found(root)
    assert {path: str(one.real) for path, one in links.items()} == {
        "out": str(root.parent.resolve() / "data"),
        "deep/out": str(root.parent.resolve() / "data" / "file"),
    }
    assert {one.secret for one in links.values()} == {None}


@pytest.mark.parametrize("lines", ["/out\n", "out\n", "*ut\n", "- out\n", "# so\n\nout/\n", "/o?t/\n"])
def test_an_ignored_link_is_none(lines: str, root: Path) -> None:
    put(root.parent / "data" / "file")
    link(root / "out", "../data")
    put(root / IGNORE_FILE, lines)
    assert found(root) == {}


def test_a_pattern_for_folders_ignores_no_link_to_a_file(root: Path) -> None:
    put(root.parent / "notes")
    link(root / "out", "../notes")
    put(root / IGNORE_FILE, "out/\n")
    assert set(found(root)) == {"out"}


@pytest.mark.parametrize("end", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_a_line_ends_where_rsync_s_does(end: str, root: Path) -> None:
    put(root.parent / "notes")
    link(root / "out", "../notes")
    put(root / IGNORE_FILE, f"x{end}out\n")
    assert set(found(root)) == {"out"}


def test_a_link_in_an_environment_is_none_unless_that_is_wanted(root: Path) -> None:
    put(root / "own" / "pyvenv.cfg")
    link(root / "own" / "bin" / "python", "/usr/bin/env")
    assert found(root) == {}
    put(root / IGNORE_FILE, "*.ckpt\n")
    assert found(root) == {}
    put(root / IGNORE_FILE, "+ /own/\n")
    assert set(found(root)) == {"own/bin/python"}
    # What does not travel is told by nothing: such a folder is one like any other.
    put(root / IGNORE_FILE, "pyvenv.cfg\n")
    assert set(found(root)) == {"own/bin/python"}


def test_a_link_makes_no_environment(root: Path) -> None:
    put(root.parent / "notes")
    link(root / "own" / "pyvenv.cfg", "../../notes")
    link(root / "own" / "more", "../../notes")
    assert set(found(root)) == {"own/pyvenv.cfg", "own/more"}


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_what_only_looks_like_an_environment_hides_no_link_that_a_push_sends(kind: str, root: Path) -> None:
    sides = Sides(root.parent / "both")
    put(root.parent / ".ssh" / "id_rsa")
    link(sides.local / "own" / "more", str(root.parent / ".ssh"))
    if kind == "file":
        put(sides.local / "own" / "conda-meta")
    else:
        os.mkfifo(sides.local / "own" / "pyvenv.cfg")
    links = outward_links(sides.local, Tools(), root.parent)
    assert [(one.path, one.secret) for one in links] == [("own/more", root.parent / ".ssh")]
    sides.sync()
    assert (sides.remote / "own" / "more" / "id_rsa").exists()  # so the gate has to know


def test_no_link_hides_where_no_whole_path_leads(root: Path) -> None:
    """Rsync goes down by the folders' own names, to paths that are too long from the top."""
    depth, folder = len(str(root)), os.open(root, os.O_RDONLY)
    while depth < 4096:
        os.mkdir("d" * 200, dir_fd=folder)
        above, folder = folder, os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(above)
        depth += 201
    os.symlink("/etc/passwd", "l", dir_fd=folder)
    os.close(folder)
    with pytest.raises(UsageError, match="too long"):
        found(root)
    put(root / IGNORE_FILE, f"{'d' * 200}\n")
    assert found(root) == {}


SECRETS = {
    "a key": ("docs", "../.ssh/id_rsa"),
    "its folder": ("docs", "../.ssh"),
    "below": ("a/b/docs", "../../../.aws/credentials"),
    "an absolute path": ("docs", "HOME/.config/gcloud"),
    "by way of a link": ("docs", "../way/id_rsa"),
    "the home around it": ("docs", ".."),
    "all of the disk": ("docs", "/"),
    "another user's": ("docs", "../others/eve/.ssh"),
    "what holds another user's": ("docs", "../others"),
    "a link behind it": ("docs", "../data"),
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_way_to_keys_or_tokens_is_told(case: str, root: Path) -> None:
    home = root.parent
    for store in (".ssh/id_rsa", ".aws/credentials", ".config/gcloud/token", "others/eve/.ssh/id_rsa"):
        put(home / store)
    link(home / "way", ".ssh")
    link(home / "data" / "deep" / "inner", str(home / ".aws"))
    path, target = SECRETS[case]
    link(root / path, target.replace("HOME", str(home)))
    assert found(root)[path].secret


@pytest.mark.parametrize("lines", [".ssh\n", "/docs/.ssh\n", "/docs/.ss*\n"])
def test_keys_that_are_ignored_keep_nothing_else_here(lines: str, root: Path) -> None:
    put(root.parent / ".ssh" / "id_rsa")
    link(root / "docs", "..")
    put(root / IGNORE_FILE, f"{lines}shop\n")
    assert found(root)["docs"].secret is None


NAMES = st.sampled_from(["a", "b", "out", "b c", "[x]", "d*", "e\\f"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
LINES = st.sampled_from(
    [
        *(
            "a",
            "b/",
            "/out",
            "out/",
            "- b",
            "+ out",
            "+ /a/",
            "*",
            "b c",
            "a/out",
            "**/out",
            "/a/**",
            "# x",
            "",
        ),
        *(";x", "[[]x]", "out\x0cb", "e\\f", "!a", "b\r\nout"),
    ]
)
TARGETS = st.sampled_from(["OUT/file", "OUT/folder", "OUT/nested", "UP/outside/file", "a", "b/a", "OUT/gone"])


def copied(root: Path, base: Path) -> set[str]:
    """The paths below which rsync really puts what stands outside of the project."""
    target = base / "there"
    argv = [
        "rsync",
        "--recursive",
        "--links",
        "--copy-unsafe-links",
        *filter_argv(root),
        f"{root}/",
        f"{target}/",
    ]
    subprocess.run(argv, capture_output=True, check=False)
    files = (path for path in target.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(target)) for path in files if path.read_text() == "from outside"}


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(PATHS, TARGETS, max_size=5),
    st.none() | st.lists(LINES, max_size=4),
)
def test_whatever_rsync_copies_from_outside_comes_by_a_link_that_is_found(
    links: dict[str, str], lines: list[str] | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        root = base / "home" / "shop"
        root.mkdir(parents=True)
        for place in ("file", "folder/a", "folder/out/b"):
            put(root.parent / "outside" / place, "from outside")
        link(root.parent / "outside" / "nested" / "b", str(root.parent / "outside" / "folder"))
        for path, target in links.items():
            at = root / path
            if any(above.is_symlink() or above.is_file() for above in (at, *at.parents)) or at.exists():
                continue
            up = "/".join([".."] * (path.count("/") + 1))
            link(at, target.replace("OUT", str(root.parent / "outside")).replace("UP", up))
        if lines is not None:
            (root / IGNORE_FILE).write_bytes("\n".join(lines).encode())
        known = found(root)
        arrived = copied(root, base)
        assert all(any(f"{path}/".startswith(f"{one}/") for one in known) for path in arrived)
        for one in known.values():  # and nobody is asked about what would not travel
            if one.real.is_file():
                assert one.path in arrived
        withhold(root, known)
        shutil.rmtree(base / "there", ignore_errors=True)
        assert copied(root, base) == set()


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8))
def test_a_pattern_fits_its_path_alone(name: str) -> None:
    if name in (".", ".."):
        return
    with tempfile.TemporaryDirectory() as base:
        for path in (f"{name}", f"x{name}", f"in/{name}"):
            put(Path(base) / "here" / path)
        argv = ["rsync", "--recursive", f"--exclude={path_pattern(name)}", f"{base}/here/", f"{base}/there/"]
        subprocess.run(argv, check=True, capture_output=True)
        there = {
            str(path.relative_to(f"{base}/there"))
            for path in Path(f"{base}/there").rglob("*")
            if path.is_file()
        }
        assert there == {f"x{name}", f"in/{name}"}


def test_what_is_withheld_is_what_was_said_last(root: Path) -> None:
    withhold(root, [])
    assert not (root / WITHHELD_FILE).exists()
    odd = os.fsdecode(b"a\xff\nb")
    withhold(root, ["x y", odd])
    assert withheld_paths(root) == sorted(["x y", odd])
    assert f"--exclude=/{odd}" in filter_argv(root)
    assert f"--exclude=/{odd}" not in filter_argv(root, withheld=False)
    withhold(root, [])
    assert withheld_paths(root) == []


def test_nothing_is_written_through_a_link_that_a_clone_brought(root: Path) -> None:
    (root / ".ec2tasks").mkdir()
    mine = put(root.parent / "mine", "mine")
    link(root / WITHHELD_FILE, str(mine))
    with pytest.raises(Failure, match="is a link"):
        withhold(root, ["out"])
    assert mine.read_text() == "mine"
    (root / WITHHELD_FILE).unlink()
    withhold(root, ["out"])
    assert withheld_paths(root) == ["out"]


def test_a_link_that_was_touched_is_told_even_where_it_leads_back(root: Path) -> None:
    put(root.parent / "data" / "file")
    put(root.parent / "other" / "file")
    link(root / "out", "../data")
    links = list(found(root).values())
    assert changed_links(root, links) == []
    (root / "out").unlink()
    assert changed_links(root, links) == ["out"]
    link(root / "out", "../other")
    assert changed_links(root, links) == ["out"]
    (root / "out").unlink()
    link(root / "out", "../data")
    assert changed_links(root, links) == ["out"]


def test_what_is_withheld_stays_where_it_is_in_every_sync(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    put(tmp_path / "data" / "file", "mine")
    link(sides.local / "out", str(tmp_path / "data"))
    put(sides.local / "own", "own")
    withhold(sides.local, ["out"])
    sides.sync()
    assert (sides.remote / "own").exists()
    assert not (sides.remote / "out").exists()
    put(sides.remote / "out" / "file", "theirs")
    sides.sync()
    assert (tmp_path / "data" / "file").read_text() == "mine"
    withhold(sides.local, [])
    (sides.remote / "out" / "file").unlink()
    sides.sync()
    assert (sides.remote / "out" / "file").read_text() == "mine"


def test_names_that_are_ignored_for_certain(root: Path) -> None:
    assert ignored_names(root).names == set(DEFAULT_IGNORED)
    put(root / IGNORE_FILE, "a\n# b\n\nc/\n- d\ne\n+ f\ng\n")
    known = ignored_names(root)
    assert (set(known.names), set(known.folders), known.all_of_them) == ({"a", "e"}, {"c"}, False)


def test_a_device_in_the_place_of_the_ignore_file_is_not_read(root: Path) -> None:
    """A cloned repository can hold a link to one that has no end."""
    put(root.parent / "notes")
    link(root / "out", "../notes")
    link(root / IGNORE_FILE, "/dev/zero")
    assert "out" in found(root)
