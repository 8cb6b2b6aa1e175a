from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.project import ScratchProject

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import (
    DIFF_LIMIT,
    Project,
    check_syncable,
    find_project,
    project_identity,
    revision,
)

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def project(root: Path) -> Project:
    return Project(root=root, below=Path())


def test_the_project_is_the_nearest_folder_with_settings(tmp_path: Path) -> None:
    deep = tmp_path / "shop" / "src" / "deep"
    deep.mkdir(parents=True)
    assert find_project(deep) == project(deep)
    (tmp_path / "shop" / "ec2.yaml").touch()
    assert find_project(deep) == Project(root=tmp_path / "shop", below=Path("src/deep"))


@pytest.mark.parametrize(
    ("name", "label"),
    [("shop", "shop"), ("my shop", "my-shop"), ("été!", "t"), ("-x-", "x"), ("...", "project")],
)
def test_a_folder_s_name_as_a_plain_word(name: str, label: str) -> None:
    assert project(Path("/nowhere") / name).label == label


@pytest.mark.parametrize(("folder", "good"), [(".", False), ("..", False), ("shop", True)])
def test_a_home_or_what_holds_it_is_no_project(folder: str, good: bool, tmp_path: Path) -> None:
    home = tmp_path / "home"
    root = (home / folder).resolve()
    if good:
        check_syncable(project(root), home)
    else:
        with pytest.raises(UsageError):
            check_syncable(project(root), home)


def git(folder: Path, *words: str) -> None:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *words]
    subprocess.run(argv, check=True, capture_output=True)


def test_clones_are_one_project_and_folders_of_one_name_are_not(tmp_path: Path) -> None:
    first, clone, other = tmp_path / "a" / "shop", tmp_path / "b" / "shop", tmp_path / "c" / "shop"
    for folder in (first, clone.parent, other):
        folder.mkdir(parents=True)
    git(first, "init", "-q")
    git(first, "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", str(first), str(clone))
    assert project_identity(project(first)) == project_identity(project(clone))
    assert project_identity(project(first)) != project_identity(project(other))
    (first / "sub").mkdir()
    assert project_identity(project(first / "sub")) != project_identity(project(first))


def test_a_project_of_the_same_folder_name_is_refused_and_ones_own_is_not(
    local_project: ScratchProject,
) -> None:
    here = local_project
    assert here.ec2tasks("run", "--leave", "true").code == 0
    elsewhere = replace(here, root=here.root.parent / "elsewhere" / here.root.name)
    elsewhere.root.mkdir(parents=True)
    for words in (("run", "true"), ("sync",), ("jobs",), ("down",)):
        said = elsewhere.ec2tasks(*words)
        assert said.code == 2, (words, said)
        assert "belongs to another project of the same folder name" in said.err
    # Git comes to the project, and so does another name for it.
    git(here.root, "init", "-q")
    git(here.root, "commit", "-q", "--allow-empty", "-m", "x")
    said = here.ec2tasks("down")
    assert said.code == 0, said.err


@pytest.mark.parametrize("kind", ["a folder that is one", "beside the files"])
def test_no_program_that_a_repository_names_is_started_to_know_it(kind: str, tmp_path: Path) -> None:
    """Git fetches what is missing in a clone that says it is a partial one, by a command of that clone's."""
    here, bare = tmp_path / "shop", kind == "a folder that is one"
    here.mkdir()
    git(here, "init", "-q", *(["--bare"] if bare else []))
    own = here if bare else here / ".git"
    text = f"tree {EMPTY_TREE}\nparent {'1' * 40}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    argv = ["git", f"--git-dir={own}", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    commit = subprocess.run(argv, input=text, text=True, capture_output=True, check=True).stdout
    branch = (own / "HEAD").read_text().split()[1]
    (own / branch).write_text(commit)
    began = tmp_path / "began"
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "core.sshCommand": f"touch {began};",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://a/b",
        "protocol.ssh.allow": "always",
    }.items():
        subprocess.run(["git", "config", "--file", str(own / "config"), name, value], check=True)
    assert project_identity(project(here))
    assert not began.exists()


def committed(root: Path) -> Path:
    """A repository with one file in one commit."""
    root.mkdir()
    git(root, "init", "-q")
    (root / "train.py").write_text("epochs = 1\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    return root


def test_what_is_committed_and_what_is_not(tmp_path: Path) -> None:
    assert revision(tmp_path) is None
    root = committed(tmp_path / "shop")
    before = revision(root)
    assert before
    assert (len(before.commit), before.clean, before.changes) == (40, True, "")
    (root / "new.py").touch()
    (root / "train.py").write_text("epochs = 2\n")
    after = revision(root)
    assert after
    assert (after.commit, after.clean) == (before.commit, False)
    assert after.changes.startswith("? new.py\ndiff --git")
    assert "-epochs = 1\n+epochs = 2" in after.changes
    (root / "train.py").write_text("x\n" * DIFF_LIMIT)
    big = revision(root)
    assert big
    assert len(big.changes) <= DIFF_LIMIT


def test_a_repository_with_no_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert revision(tmp_path) is None


@pytest.mark.parametrize("name", ["clean", "process", "fsmonitor", "hook", "external", "textconv", "below"])
def test_no_program_that_a_repository_names_is_started_to_look_at_it(name: str, tmp_path: Path) -> None:
    """Git would ask these what has changed, or how to compare it."""
    began = tmp_path / "began"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{began}'\n")
    program.chmod(0o755)
    root = committed(tmp_path / "shop")
    (root / ".gitattributes").write_text("* filter=evil diff=evil\n")
    settings = {
        "clean": ("filter.evil.clean", str(program)),
        "process": ("filter.evil.process", str(program)),
        "fsmonitor": ("core.fsmonitor", str(program)),
        "hook": ("core.hooksPath", str(tmp_path)),
        "external": ("diff.evil.command", str(program)),
        "textconv": ("diff.evil.textconv", str(program)),
        "below": ("core.abbrev", "9"),
    }
    program.rename(tmp_path / "post-index-change") if name == "hook" else None
    if name == "below":
        below = committed(root / "below")
        git(root, "add", "below")
        (below / ".gitattributes").write_text("* filter=evil\n")
        for key in ("clean", "fsmonitor"):
            git(below, "config", *settings[key])
        (below / "train.py").write_text("epochs = 3\n")
    git(root, "config", *settings[name])
    (root / "train.py").write_text("epochs = 2\n")
    found = revision(root)
    assert found
    assert found.clean is (None if name in ("clean", "process") else False)
    assert not began.exists()
