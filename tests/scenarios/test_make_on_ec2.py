"""`make on-ec2-…` from a real Makefile to an instance and back."""

from __future__ import annotations

import json

import pytest
from support.project import ScratchProject

MAKEFILE = """\
GREETING ?= hello
all: here
here:
\t@echo here
train:
\t@hostname > where.txt
\t@printf '%s|%s\\n' "$(GREETING)" "$(MAKEFLAGS)"
a b:
\t@hostname > $@.txt
fail:
\t@echo partial > partial.txt
\t@exit 7
include Makefile.inc
"""


@pytest.fixture
def made(local_project: ScratchProject) -> ScratchProject:
    local_project.write("Makefile", MAKEFILE)
    assert local_project.ec2tasks("init").code == 0
    return local_project


def instances(project: ScratchProject) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(project.ec2tasks("ls", "--json").out)
    return found


def test_a_recipe_runs_there_with_its_variables_and_flags(made: ScratchProject) -> None:
    said = made.call("make", "-k", "on-ec2-train", "GREETING=it's  me")
    assert said.code == 0, said.err
    assert said.out.startswith("it's  me|k")
    assert made.read("where.txt").startswith("ip-")
    assert [one["state"] for one in instances(made)] == ["running"]


def test_a_failing_recipe_fails_here_with_its_files(made: ScratchProject) -> None:
    said = made.call("make", "on-ec2-fail", "EC2_FINAL_STATE=terminate")
    assert said.code == 2
    assert "Error 7" in said.err
    assert made.read("partial.txt") == "partial\n"
    assert instances(made) == []


def test_two_recipes_at_once_share_one_instance(made: ScratchProject) -> None:
    said = made.call("make", "-j2", "on-ec2-a", "on-ec2-b", "EC2_FINAL_STATE=terminate")
    assert said.code == 0, said.err
    assert made.read("a.txt") == made.read("b.txt")
    assert instances(made) == []


def test_an_unknown_recipe_is_refused_before_anything_is_launched(made: ScratchProject) -> None:
    said = made.call("make", "on-ec2-trian")
    assert said.code == 2
    assert "`trian`" in said.err
    assert "train" in said.err
    assert instances(made) == []


def test_a_dry_make_costs_nothing(made: ScratchProject) -> None:
    said = made.call("make", "-n", "on-ec2-train")
    assert said.code == 0
    assert "ec2tasks make" in said.out
    assert instances(made) == []


def test_a_recipe_s_own_settings_count(made: ScratchProject) -> None:
    made.write("ec2.yaml", "recipes:\n  a: {final_state: stop, instance_type: g6.xlarge}\n")
    assert made.call("make", "on-ec2-a").code == 0
    (found,) = instances(made)
    assert found["type"] == "g6.xlarge"
    assert found["state"] in ("stopping", "stopped")
