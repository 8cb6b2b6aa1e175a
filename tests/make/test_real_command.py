"""`make on-ec2-…` with the real ec2tasks, which only plans: what make would be called with there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import ScratchProject
from support.repository import REPO

TEMPLATE = REPO / "templates/Makefile.inc"
RECIPES = "EPOCHS ?= 1\nexport DEPTH ?= 5\nAPI_TOKEN ?=\ntrain z: ; touch TRAP\nin: ; touch TRAP\n"


@pytest.fixture
def planned(project: ScratchProject) -> ScratchProject:
    project.write("Makefile.inc", TEMPLATE.read_text())
    project.write("Makefile", f"{RECIPES}include Makefile.inc\n")
    return project


def plan(project: ScratchProject, *words: str, cwd: Path | None = None, **environ: str) -> tuple[str, str]:
    """The command that would run there, and what is said beside the plan."""
    said = project.call("make", *words, "EC2_FLAGS=--dry", environ=environ, cwd=cwd)
    assert said.code == 0, said.err
    (line,) = (line for line in said.out.splitlines() if line.startswith("would run in "))
    assert not list(project.root.rglob("TRAP"))
    return line.removeprefix("would run in "), said.err


def test_another_makefile(planned: ScratchProject) -> None:
    planned.write("other.mk", "y: ; touch TRAP\ninclude Makefile.inc\n")
    where, err = plan(planned, "-f", "other.mk", "on-ec2-y")
    assert (where, err) == (f"~/{planned.root.name}: make y --file=other.mk", "")
    where, _ = plan(planned, "-f", f"{planned.root}/other.mk", "on-ec2-y", "A=b c", "-k")
    assert where == f"~/{planned.root.name}: make -k 'A=b c' y --file=other.mk"
    refused = planned.call("make", "-f", "other.mk", "on-ec2-z")
    assert refused.code == 2
    assert "no recipe `z` in other.mk" in refused.err


def test_several_makefiles_with_blanks_in_their_names(planned: ScratchProject) -> None:
    planned.write("a b.mk", "x: ; touch TRAP\ninclude Makefile.inc\n")
    planned.write("c.mk", "y: ; touch TRAP\n")
    where, _ = plan(planned, "-f", "a b.mk", "-fc.mk", "on-ec2-y")
    assert where == f"~/{planned.root.name}: make y '--file=a b.mk' --file=c.mk"


def test_what_make_tells_its_recipes_nothing_about(planned: ScratchProject) -> None:
    where, _ = plan(planned, "-W", "in", "-o", "old one", "on-ec2-train")
    assert where.endswith(": make train -W in -o 'old one'")


@pytest.mark.parametrize("flags", [[], ["-e"]])
def test_variables_of_the_command_line_whatever_they_are_called(
    planned: ScratchProject, flags: list[str]
) -> None:
    where, err = plan(planned, *flags, "on-ec2-train", "EC2_BUCKET=mine", "EPOCHS=2")
    assert sorted(where.split(": ")[1].split()) == sorted(
        ["make", *flags, "EC2_BUCKET=mine", "EPOCHS=2", "train"]
    )
    assert err == ""


def test_variables_of_the_environment_are_said_on_one_line(planned: ScratchProject) -> None:
    where, err = plan(planned, "on-ec2-train", EPOCHS="100", API_TOKEN="s3cret", OTHER="x")
    assert where.endswith(": make train")
    assert err.splitlines() == [
        "ec2: from your environment, where the Makefile only has a default: EPOCHS",
        "ec2: warning: API_TOKEN of your environment may hold credentials and stays here",
        "hint: `forward_env: [API_TOKEN]` in ec2.yaml hands on what is meant to go",
    ]


def test_only_a_width_that_was_typed_goes_along(planned: ScratchProject) -> None:
    planned.write("Makefile", f"MAKEFLAGS += -j3 -l7\n{RECIPES}include Makefile.inc\n")
    assert plan(planned, "on-ec2-train")[0].endswith(": make train")
    assert plan(planned, "on-ec2-train", "-kj2")[0].endswith(": make -k -j2 train")
    assert plan(planned, "on-ec2-train", MAKEFLAGS="-j5")[0].count("-j") == 1


def test_a_makefile_below_the_first(planned: ScratchProject) -> None:
    """A monorepo: one project, whose folders have makes of their own, some with blanks in their names."""
    planned.write("ec2.yaml", "")
    for folder, include in (
        ("sub", "../Makefile.inc"),
        ("my sub", "../Makefile.inc"),
        ("own", "Makefile.inc"),
    ):
        planned.write(f"{folder}/Makefile", f"deep: ; touch TRAP\ninclude {include}\n")
    planned.write("own/Makefile.inc", TEMPLATE.read_text())
    for folder in ("sub", "my sub", "own"):
        where = f"~/{planned.root.name}/{folder}: make deep"
        assert plan(planned, "-C", folder, "on-ec2-deep") == (where, "")
        assert plan(planned, "on-ec2-deep", cwd=planned.root / folder) == (where, "")
    planned.write("Makefile", f"{RECIPES}include Makefile.inc\nall: ; @$(MAKE) -s -C 'my sub' on-ec2-deep\n")
    assert plan(planned, "all", "A=b")[0] == f"~/{planned.root.name}/my sub: make -s A=b deep"
    refused = planned.call("make", "-C", "my sub", "on-ec2-train")
    assert "no recipe `train` in Makefile" in refused.err


@pytest.mark.parametrize("flags", [["-f", "../other.mk"], ["-f", "{above}/other.mk"], ["-f", "beside.mk"]])
def test_what_the_instance_would_lack_is_refused(project: ScratchProject, flags: list[str]) -> None:
    inner, above = project.root / "my sub", project.root
    project.write("Makefile.inc", TEMPLATE.read_text())
    project.write("other.mk", "deep: ; touch TRAP\ninclude Makefile.inc\n")
    project.write("my sub/Makefile.inc", TEMPLATE.read_text())
    project.write("my sub/beside.mk", "deep: ; touch TRAP\ninclude ../Makefile.inc\n")
    words = [word.format(above=above) for word in flags]
    refused = project.call("make", *words, "on-ec2-deep", "EC2_FLAGS=--dry", cwd=inner)
    assert refused.code == 2
    assert f"is outside of the project `{inner}`, so the instance would lack it" in refused.err
    assert f"hint: `touch {above}/ec2.yaml` makes one project of the folder that holds both" in refused.err
    project.write("ec2.yaml", "")
    assert project.call("make", *words, "on-ec2-deep", "EC2_FLAGS=--dry", cwd=inner).code == 0
