"""The variants of a sweep, by the real make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ec2tasks.base.errors import UsageError
from ec2tasks.commands.variants import jobs_of, own_words, read_variants
from ec2tasks.make.arguments import parse_arguments

MAKEFILE = """\
LRS = 1 2
sweep: $(LRS:%=out/%.json) notes.txt | extra
sweep: out/1.json last
out/%.json: in ; touch TRAP
extra last: ; touch TRAP
"""
ENVIRON = {"PATH": os.environ["PATH"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    for name in ("in", "notes.txt", "out/2.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_each_prerequisite_that_is_not_up_to_date_is_due(folder: Path) -> None:
    found = read_variants("sweep", folder, ENVIRON)
    assert found.due == ("out/1.json", "last", "extra")
    assert found.done == ("out/2.json", "notes.txt")  # a file that nobody makes has nothing to run
    assert not (folder / "TRAP").exists()


@pytest.mark.parametrize(
    ("words", "makeflags", "jobs", "keeps_going", "targets"),
    [
        ("sweep", "", None, False, "x"),
        ("sweep", "k -j4 --jobserver-auth=3,4", 4, True, "x"),
        ("sweep", " -j", 0, False, "x"),
        ("sweep -k -j3 LRS='1 3' -fMakefile", "", 3, True, "x -k -fMakefile 'LRS=1 3'"),
    ],
)
def test_how_many_at_once_and_what_goes_with_each(
    words: str, makeflags: str, jobs: int | None, keeps_going: bool, targets: str, folder: Path
) -> None:
    found = read_variants(words, folder, {**ENVIRON, "MAKEFLAGS": makeflags})
    assert (found.jobs, found.keeps_going, found.targets("x")) == (jobs, keeps_going, targets)


def test_a_target_without_prerequisites_is_no_sweep(folder: Path) -> None:
    with pytest.raises(UsageError, match="`last` has no prerequisites in Makefile"):
        read_variants("last", folder, ENVIRON)
    with pytest.raises(UsageError, match="nothing to run"):
        read_variants("-k", folder, ENVIRON)
    with pytest.raises(UsageError, match="no recipe `swep`"):
        read_variants("swep", folder, ENVIRON)


def test_how_many_may_run_is_not_for_the_make_there() -> None:
    words = parse_arguments("a -j8 --jobs=2 -l 4 --load-average=3 -s --what-if=x X=1")
    assert own_words(words) == ["-s", "-Wx", "X=1"]
    assert jobs_of(["-k", "-j2", "-j8"]) == 8
    assert jobs_of(["-k"]) is None
