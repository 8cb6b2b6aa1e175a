"""The variants of a sweep, by the real make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ec2tasks.base.errors import UsageError
from ec2tasks.cli.sweep import by_jobs
from ec2tasks.commands import variants
from ec2tasks.commands.variants import jobs_of, own_words, read_variants
from ec2tasks.make.arguments import parse_arguments
from ec2tasks.make.caller import NOTHING_KNOWN, Typed

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


@pytest.mark.parametrize(
    ("above", "makeflags", "jobs"),
    [
        (Typed(width=frozenset("j"), jobs=4), " --jobserver-fds=3,4 -j", 4),  # make 3.81 tells no number
        (NOTHING_KNOWN, " --jobserver-fds=3,4 -j", 1),
        (Typed(width=frozenset()), " -j16 --jobserver-auth=3,4", None),  # MAKEFLAGS += -j16 in the Makefile
    ],
)
def test_as_many_machines_as_were_typed_and_not_as_processors_here(
    above: Typed, makeflags: str, jobs: int | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "find_typed", lambda _environ: above)
    assert read_variants("sweep", folder, {**ENVIRON, "MAKEFLAGS": makeflags}).jobs == jobs


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


def test_j_without_a_number_takes_no_number_of_machines() -> None:
    assert [by_jobs(jobs, 5) for jobs in (None, 3)] == [1, 3]
    assert by_jobs(0, 1) == 1
    with pytest.raises(UsageError, match="-j without a number would take 5 machines"):
        by_jobs(0, 5)
