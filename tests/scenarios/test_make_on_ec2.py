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


def test_a_target_that_is_up_to_date_costs_nothing(made: ScratchProject) -> None:
    made.write("Makefile", "out/done.txt: in.txt\n\t@mkdir -p out; hostname > $@\ninclude Makefile.inc\n")
    made.write("in.txt", "")
    made.write("out/done.txt", "made here\n")
    said = made.call("make", "on-ec2-out/done.txt")
    assert (said.code, said.err) == (0, "")
    assert said.out.replace("`", "'") == "make: 'out/done.txt' is up to date.\n"
    assert instances(made) == []
    (made.root / "out/done.txt").unlink()
    assert made.call("make", "on-ec2-out/done.txt", "EC2_FINAL_STATE=terminate").code == 0
    assert made.read("out/done.txt").startswith("ip-")
    assert made.call("make", "-q", "out/done.txt").code == 0  # the one that came back


def test_what_make_was_given_is_there_in_a_folder_below(made: ScratchProject) -> None:
    made.write(
        "my sub/other.mk",
        "EPOCHS ?= 1\nMY_TOKEN ?= none\nA = makefile\nMAKEFLAGS += -j7\ninclude ../Makefile.inc\n"
        "deep: new.txt\n\t@echo $(EPOCHS) $(MY_TOKEN) $(A) $(EC2_BUCKET)"
        " $(notdir $(CURDIR)) $(origin EPOCHS)\n"
        "new.txt: in.txt\n\t@echo remade; touch $@\n",
    )
    made.write("my sub/in.txt", "")
    made.write("my sub/new.txt", "")
    environ = {"EPOCHS": "1 00", "MY_TOKEN": "secret", "A": "environment"}
    words = ("-C", "my sub", "-f", "other.mk", "on-ec2-deep", "EC2_BUCKET=mine", "--no-print-directory")
    said = made.call("make", *words, environ=environ)
    assert (said.code, said.out) == (0, "1 00 none makefile mine my sub environment\n"), said.err
    assert "where the Makefile only has a default: EPOCHS\n" in said.err
    assert "MY_TOKEN of your environment may hold credentials and stays here" in said.err
    said = made.call("make", "-e", "-W", "in.txt", *words, environ=environ)
    assert (said.code, said.out) == (0, "remade\n1 00 none environment mine my sub environment\n"), said.err
    assert "secret" not in said.out + said.err


def test_a_recipe_s_own_settings_count(made: ScratchProject) -> None:
    made.write("ec2.yaml", "recipes:\n  a: {final_state: stop, instance_type: g6.xlarge}\n")
    assert made.call("make", "on-ec2-a").code == 0
    (found,) = instances(made)
    assert found["type"] == "g6.xlarge"
    assert found["state"] in ("stopping", "stopped")
