"""Which named paths travel is what rsync itself would send of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.sync.entries import EntryKind
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.travelling import listed, travelling

NAMES = ("a", "b.ckpt", "Data", "data", ".env", ".git", ".GIT", "venv", "a]b", "a\\b", "-a")
PATHS = ["/".join(parts) for n in (1, 2) for parts in itertools.product(NAMES, repeat=n)]
PATTERNS = ["*.ckpt", "/data/", "data", "/a/*", "+ /a/b.ckpt", ".env", "a/data", "**/venv", "- *", "Data/***"]
# What rsync reads in ways of its own: classes, backslashes, two stars, other line ends, no prefix.
ODD = [
    "[ab]*",
    "[a/b]",
    "a[]]b",
    "a\\b",
    "[a\\]*",
    "\\[a]",
    "d**a/*",
    "a**",
    "/**/a/**",
    "?env",
    "# a\rvenv",
    "-a",
    "[[:alpha:]]",
    "v[",
    "[.]*",
]


def _project(root: Path, patterns: list[str]) -> list[str]:
    (root / ".ec2tasks").mkdir(parents=True, exist_ok=True)
    (root / ".rsyncignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    return filter_argv(root)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(PATTERNS + ODD), max_size=3, unique=True),
    st.sets(st.sampled_from(PATHS), max_size=12),
)
def test_named_paths_travel_as_rsync_would_send_them(
    tmp_path_factory: pytest.TempPathFactory, patterns: list[str], paths: set[str]
) -> None:
    root = tmp_path_factory.mktemp("project")
    filters = _project(root, patterns)
    folders = {path.rpartition("/")[0] for path in paths} - {""}
    for path in sorted(paths | folders):
        full = root / path
        if path in folders:
            full.mkdir(parents=True, exist_ok=True)
        else:
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_text("text")
    named = {(path, EntryKind.FOLDER if path in folders else EntryKind.FILE) for path in paths}
    sent = listed(root, filters, Tools())
    allowed = travelling(root, filters, named, Tools())
    assert allowed == {(path, kind) for path, kind in named if (path, kind is EntryKind.FOLDER) in sent}
    assert not (root / ".ec2tasks/names").exists()


def test_one_name_as_several_kinds_and_in_several_spellings(tmp_path: Path) -> None:
    filters = _project(tmp_path, ["out/"])
    named = {
        *(("out", EntryKind.FILE), ("out", EntryKind.FOLDER), ("out", EntryKind.LINK)),
        *(("x", EntryKind.LINK), ("x/y", EntryKind.FILE), ("X/y", EntryKind.FILE), ("x", EntryKind.FOLDER)),
    }
    allowed = travelling(tmp_path, filters, named, Tools())
    assert allowed == named - {("out", EntryKind.FOLDER)}


@pytest.mark.parametrize(
    "name", [".ec2tasks/project", ".EC2Tasks/project", ".GIT/hooks/x", "sub/.Git/config"]
)
def test_our_own_files_and_a_repository_s_never_travel_in_any_spelling(tmp_path: Path, name: str) -> None:
    filters = _project(tmp_path, ["+ *"])
    assert travelling(tmp_path, filters, {(name, EntryKind.FILE)}, Tools()) == set()


def test_a_name_that_can_t_stand_here_travels_and_fails_where_it_is_put(tmp_path: Path) -> None:
    named = {("n" * 256, EntryKind.FILE)}
    assert travelling(tmp_path, _project(tmp_path, []), named, Tools()) == named


@pytest.mark.parametrize(
    ("patterns", "asked"),
    [
        ([], {"a.ec2-20260101-000000-ab", "x/node_modules/y", ".Git/config"}),
        (["# *", "; *", "+ *", "- *.tmp", "/data/**"], {"a.tmp", "data/x", "a.ec2-1-"}),
        (["[a/b]"], {"anything"}),
        (["*"], {"anything"}),
    ],
)
def test_only_what_a_pattern_may_fit_is_laid_out_for_rsync(
    tmp_path: Path, patterns: list[str], asked: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out = set[str]()

    def make(path: Path, *, is_folder: bool) -> None:
        laid_out.add(f"{path.relative_to(tmp_path / '.ec2tasks/names')}")
        assert not is_folder

    monkeypatch.setattr("ec2tasks.sync.travelling._make", make)
    named = {(path, EntryKind.FILE) for path in {*asked, "out/model.pt", "tmp", "-", "été/数"}}
    if asked == {"anything"}:
        asked = {path for path, _ in named}
    travelling(tmp_path, _project(tmp_path, patterns), named, Tools())
    assert laid_out == asked


def test_a_disk_that_takes_nothing_is_named(tmp_path: Path) -> None:
    filters = _project(tmp_path, [])
    (tmp_path / ".ec2tasks/names").write_text("in the way")
    with pytest.raises(Failure, match="names"):
        travelling(tmp_path, filters, {(".git", EntryKind.FILE)}, Tools())
