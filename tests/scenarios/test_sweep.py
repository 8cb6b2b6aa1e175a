"""`make -jK on-each-ec2-sweep`: each prerequisite a run of its own, on the machines of a pool."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from support.background import start
from support.project import ScratchProject

MAKEFILE = """\
NUMBERS = 1 2
NAP = 0
sweep: $(NUMBERS:%=out/%.txt)
out/%.txt: in.txt
\t@mkdir -p out; hostname; sleep $(NAP); test '$*' != '$(BAD)' && hostname > $@
include Makefile.inc
"""


@pytest.fixture
def made(local_project: ScratchProject) -> ScratchProject:
    local_project.write("Makefile", MAKEFILE)
    local_project.write("in.txt", "")
    assert local_project.ec2tasks("init").code == 0
    return local_project


def instances(project: ScratchProject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.ec2tasks("ls", "--json").out)
    return found


def runs(project: ScratchProject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.ec2tasks("runs", "--json").out)
    return found


def results(project: ScratchProject) -> set[str]:
    return {path.name for path in (project.root / "out").glob("*.txt")}


def test_one_machine_is_refused_one_variant_fails_and_is_all_that_is_due_then(made: ScratchProject) -> None:
    # Of two launches one is refused: that run waits for the other's machine.
    fault = "errors: {RunInstances: {code: VcpuLimitExceeded, times: 1}}"
    assert made.ec2tasks("local.faults", "--set", fault).code == 0
    said = made.call("make", "-k", "-j2", "on-each-ec2-sweep", "BAD=2")
    assert said.code == 2, said.err
    assert results(made) == {"1.txt"}
    assert "is not granted: waiting for another machine" in said.err
    assert "1 of 2 variants made, 1 failed, on 1 machine" in said.err
    assert "`make -k -j2 on-each-ec2-sweep BAD=2`" in said.err
    assert "out/1.txt | ip-" in said.out
    assert instances(made) == []
    found = runs(made)
    assert (len(found), len({run["sweep"] for run in found})) == (2, 1)
    again = made.ec2tasks("make", "--each", "--dry", "sweep")
    assert again.out == "would run `make out/2.txt` on one of them\n"


@pytest.mark.long
def test_a_sweep_of_twelve_on_three_of_which_one_is_lost(made: ScratchProject) -> None:
    numbers = "NUMBERS=1 2 3 4 5 6 7 8 9 10 11 12"
    sweep = start(
        made, "make", "-k", "-j3", "on-each-ec2-sweep", numbers, "NAP=3", "EC2_FLAGS=--spot", "BAD=9"
    )
    while "| ip-" not in sweep.line():
        pass
    lost = instances(made)[0]["id"]
    fault = f"{{spot_notice: {lost}, spot_seconds: 2}}"
    assert made.ec2tasks("local.faults", "--set", fault).code == 0
    said = sweep.end()
    assert said.code in (2, 125)
    made.ec2tasks("local.faults", "--clear")
    assert len(results(made)) >= 9
    assert instances(made) == []
    assert made.call("make", "-j3", "on-each-ec2-sweep", numbers).code == 0
    assert len(results(made)) == 12


@pytest.mark.long
def test_ctrl_c_ends_all_of_it(made: ScratchProject) -> None:
    sweep = start(made, "ec2tasks", "make", "--each", "--machines", "2", "sweep NAP=60 'NUMBERS=1 2 3'")
    while "| ip-" not in sweep.line():
        pass
    sweep.signal(signal.SIGINT)
    said = sweep.end()
    assert said.code == 130
    assert "not begun" in said.out
    assert instances(made) == []
