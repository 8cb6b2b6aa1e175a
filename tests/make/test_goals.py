"""make's words: from MAKEFLAGS to the make there, and which targets exist, by the real make."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.make.database import known_targets, unknown_targets
from ec2tasks.make.goals import asked, carried, check_targets, make_argv

CASES = REPO / "tests" / "cases"
ENVIRON = {"PATH": os.environ["PATH"]}
# Several GNU Makes are tested with TEST_MAKES=/path/to/make-4.4:/path/to/make-3.81.
MAKES = ["make", *filter(None, os.environ.get("TEST_MAKES", "").split(os.pathsep))]


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((CASES / name).read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def refusal(targets: str, folder: Path, environ: dict[str, str]) -> UsageError | None:
    try:
        check_targets(targets, directory=folder, environ=environ)
    except UsageError as error:
        return error
    return None


def passes(targets: str, folder: Path, environ: dict[str, str]) -> bool:
    refused = refusal(targets, folder, environ)
    assert refused is None or (refused.code == 2 and refused.what.startswith("no recipe `")), refused
    return refused is None


# MAKEFLAGS


@pytest.mark.parametrize("case", cases("makeflags.yaml"))
def test_makeflags(case: dict[str, Any]) -> None:
    argv = make_argv("train", makeflags=case["makeflags"], jobs=7)
    assert argv == ["make", *case["argv"], "train"]


def test_an_untold_number_of_jobs_is_that_of_the_cores() -> None:
    argv = make_argv("train", makeflags="k --jobserver-fds=3,4 -j")
    assert argv == ["make", "-k", f"-j{os.cpu_count()}", "train"]


@pytest.mark.parametrize(
    ("targets", "argv"),
    [
        ("train", ["train"]),
        ("train eval", ["train", "eval"]),
        ("", []),
        ("train EPOCHS=3 -k -j 4", ["train", "EPOCHS=3", "-k", "-j", "4"]),
        ("train 'NAME=a b' \"it's\"", ["train", "NAME=a b", "it's"]),
        ("--file=other.mk train", ["--file=other.mk", "train"]),
    ],
)
def test_targets_stay_as_they_are(targets: str, argv: list[str]) -> None:
    assert make_argv(targets) == ["make", *argv]


def test_targets_that_no_shell_could_split() -> None:
    with pytest.raises(UsageError, match="`it's`: No closing quotation"):
        make_argv("it's")


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
names = st.from_regex(r"[A-Z][A-Z0-9_.]{0,8}", fullmatch=True).map(lambda name: f"V{name}")


@pytest.mark.parametrize("make", MAKES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(variables=st.dictionaries(names, values, max_size=4), flags=st.sets(st.sampled_from("kisBr")))
@example(variables={"V": "a b\t\\ \\\\ $$x $(y) ' \" # % = : \\"}, flags={"k"})
@example(variables={"V": "-k", "W": "-- A=b", "X": ""}, flags=set())
@example(variables={"V": "line\nline\n"}, flags=set())
def test_the_real_make_s_variables_come_through(
    make: str, variables: dict[str, str], flags: set[str], tmp_path: Path
) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"x:\n\t@{shlex.quote(sys.executable)} -c '{PRINT_MAKEFLAGS}'\n")
    words = [f"{name}={value}" for name, value in variables.items()]
    argv = [make, "-C", str(tmp_path), "-s", *(f"-{flag}" for flag in sorted(flags)), "x", *words]
    ran = subprocess.run(argv, capture_output=True, check=True, env={**ENVIRON, "PYTHONUTF8": "1"})
    found_flags, found = carried(ran.stdout.decode(errors="surrogateescape"), jobs=1)
    assert set(found_flags) >= {f"-{flag}" for flag in flags}
    # make itself drops blanks at the start of a value.
    assert sorted(found) == sorted(f"{name}={value.lstrip(BLANKS)}" for name, value in variables.items())


BLANKS = " \t\n\v\f\r"
PRINT_MAKEFLAGS = 'import os; os.write(1, os.environb[b"MAKEFLAGS"])'


# Which targets exist


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
        check_targets("train aaa bbb", directory=tmp_path, environ=ENVIRON)
    assert error.value.what == "no recipe `aaa`, `bbb` in GNUmakefile"


def test_no_makefile(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Makefile in"):
        check_targets("train", directory=tmp_path, environ=ENVIRON)


def test_no_make(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train:\n"})
    with pytest.raises(Failure, match="`no-such-make` is not installed"):
        check_targets("train", directory=tmp_path, environ={**ENVIRON, "MAKE": "no-such-make"})


def test_a_broken_makefile_is_said_in_make_s_words(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train:\n\techo\nthis is no line\n"})
    with pytest.raises(UsageError, match=r"Makefile:3: \*\*\* missing separator"):
        check_targets("train", directory=tmp_path, environ=ENVIRON)


def test_a_makefile_s_own_error_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "$(error set DATA first)\n"})
    with pytest.raises(UsageError, match="set DATA first"):
        check_targets("train", directory=tmp_path, environ=ENVIRON)


def test_another_make_than_gnu_s_is_not_understood_and_refuses_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"Makefile": "train:\n", "bin/make": "#!/bin/sh\necho 'bmake: stopped' >&2; exit 1\n"})
    (tmp_path / "bin/make").chmod(0o755)
    check_targets("anything", directory=tmp_path, environ={**ENVIRON, "MAKE": f"{tmp_path}/bin/make"})


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


def test_the_question_is_told_from_flags_and_variables() -> None:
    found = asked("-C sub -C deeper -k -j 4 -O --file a.mk -f b.mk --eval=x:=1 -Imk train A:=b -- eval")
    assert found.goals == ("train", "eval")
    assert found.variables == ("A:=b",)
    assert found.directory == "sub/deeper"
    assert found.makefiles == ("a.mk", "b.mk")


def test_the_database_of_3_81() -> None:
    found = known_targets(DATABASE_3_81)
    assert unknown_targets(["train", "a.bin", "eval", "gone"], found, lambda _: False) == ["gone"]


DATABASE_3_81 = """\
# GNU Make 3.81
# Variables
MAKE = $(MAKE_COMMAND)
gone = eval: x
# Implicit Rules

%.bin: %.cfg
#  commands to execute (from `Makefile', line 5):
\ttouch TRAP

# 1 implicit rules, 0 (0.0%) terminal.
# Files

# Not a target:
gone:
#  Implicit rule search has not been done.

train: data
#  Implicit rule search has not been done.
#  commands to execute (from `Makefile', line 2):
\ttouch TRAP

.PHONY: eval
"""


def test_settings_of_a_recipe_that_the_makefile_lacks_are_said(project: ScratchProject) -> None:
    project.write("Makefile", "train: ; true\nevaluation: ; true\n")
    project.write("ec2.yaml", "recipes: {trian: {final_state: stop}, evaluation: {final_state: stop}}\n")
    said = project.ec2tasks("make", "--dry", "train")
    assert said.code == 0
    assert said.err.count("warning") == 1
    assert "has no `trian`" in said.err
    assert "did you mean `train`?" in said.err
