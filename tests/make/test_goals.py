"""Which targets make is asked for and which exist, by the real make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.makes import ENVIRON, MAKES, cases
from support.project import ScratchProject

from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.make.arguments import parse_arguments
from ec2tasks.make.database import Targets
from ec2tasks.make.goals import check_targets
from ec2tasks.make.reading import read_makefile


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def check(targets: str, folder: Path, environ: dict[str, str]) -> Targets:
    return check_targets(read_makefile(targets, directory=folder, environ=environ))


def refusal(targets: str, folder: Path, environ: dict[str, str]) -> UsageError | None:
    try:
        check(targets, folder, environ)
    except UsageError as error:
        return error
    return None


def passes(targets: str, folder: Path, environ: dict[str, str]) -> bool:
    error = refusal(targets, folder, environ)
    assert error is None or (error.code == 2 and error.what.startswith("no recipe `")), error
    return error is None


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("case", cases("recipes.yaml"))
def test_targets(case: dict[str, Any], make: str, tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": case["makefile"], **case.get("files", {})})
    before = sorted(tmp_path.rglob("*"))
    environ = {**ENVIRON, "MAKE": make, "MAKEFLAGS": case.get("makeflags", "")}
    for targets in case.get("passes", []):
        assert passes(targets, tmp_path, environ), targets
    for targets in case.get("refused", []):
        assert not passes(targets, tmp_path, environ), targets
        refused = refusal(targets, tmp_path, environ)
        assert refused
        assert refused.hint == case.get("hint", refused.hint)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"GNUmakefile": "train:\n"})
    with pytest.raises(UsageError) as error:
        check("train aaa bbb", tmp_path, ENVIRON)
    assert error.value.what == "no recipe `aaa`, `bbb` in GNUmakefile"


def test_no_makefile(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Makefile in"):
        check("train", tmp_path, ENVIRON)


def test_no_make(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train:\n"})
    with pytest.raises(Failure, match="`no-such-make` is not installed"):
        check("train", tmp_path, {**ENVIRON, "MAKE": "no-such-make"})


BROKEN = [
    "this is no line\n",
    "\techo\n",
    "endif\n",
    "ifdef X\n",
    "define X\n",
    "a: b: c: d\n",
    "%.a: b.c: c\n",
    "A := $(call\n",
    "ifeq a\nendif\n",
    "A = $(A)\nB := $(A)\n",
    "B := $(word x,a)\n",
]


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_makefile_is_said_in_make_s_words(broken: str, make: str, tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": broken + "train: ; touch TRAP\n"})
    with pytest.raises(UsageError, match=r"Makefile:\d+: ") as error:
        check("train", tmp_path, {**ENVIRON, "MAKE": make})
    assert error.value.what.startswith("make can't read the Makefile in")


REFUSALS = [
    "$(error nvcc not found)\n",
    "ifeq (,$(shell command -v no-such-compiler))\n$(error no-such-compiler not found)\nendif\n",
    "need = $(or $(shell command -v $1),$(error $1 not found))\nCC := $(call need,no-such-compiler)\n",
    "$(error missing)\n",
]


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_makefile_s_own_refusal_is_told_apart(refusal: str, make: str, tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": refusal + "train: ; touch TRAP\n"})
    with pytest.raises(UsageError, match=r"Makefile:\d+: \*\*\* .*(not found|missing)") as error:
        check("train A=1", tmp_path, {**ENVIRON, "MAKE": make, "MAKEFLAGS": "k"})
    assert error.value.what.startswith("the Makefile in")
    assert "refuses to be read here" in error.value.what
    assert error.value.hint
    assert "`ec2tasks run 'make -k train A=1'`" in error.value.hint


def test_another_make_than_gnu_s_is_not_understood_and_refuses_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train:\n", "bin/make": "#!/bin/sh\necho 'bmake: stopped' >&2; exit 1\n"})
    (tmp_path / "bin/make").chmod(0o755)
    check("anything", tmp_path, {**ENVIRON, "MAKE": f"{tmp_path}/bin/make"})


def test_the_make_around_does_not_disturb(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train: ; touch TRAP\n"})
    environ = {
        **ENVIRON,
        "MAKEFLAGS": "k -j4 --jobserver-auth=3,4",
        "MAKELEVEL": "1",
        "LC_ALL": "de_DE.UTF-8",
    }
    assert passes("train", tmp_path, environ)
    assert not passes("eval", tmp_path, environ)


def test_flags_that_change_what_is_read_are_honoured(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "include rules.mk\n", "mk/rules.mk": "train: ; touch TRAP\n"})
    assert passes("train", tmp_path, {**ENVIRON, "MAKEFLAGS": " -Imk"})


def test_goals_are_told_from_flags_and_variables() -> None:
    arguments = parse_arguments(
        "-C sub -C deeper -k -j 4 -O --file a.mk -f b.mk --eval=x:=1 -Imk train A:=b -- eval"
    )
    assert arguments.goals == ("train", "eval")
    assert arguments.variables == ("A:=b",)
    assert arguments.directory == "sub/deeper"
    assert arguments.makefiles == ("a.mk", "b.mk")


def test_settings_of_a_recipe_that_the_makefile_lacks_are_said(project: ScratchProject) -> None:
    project.write("Makefile", "train: ; true\nevaluation: ; true\n")
    project.write("ec2.yaml", "recipes: {trian: {final_state: stop}, evaluation: {final_state: stop}}\n")
    said = project.ec2tasks("make", "--dry", "train")
    assert said.code == 0
    assert said.err.count("warning") == 1
    assert "has no `trian`" in said.err
    assert "did you mean `train`?" in said.err
