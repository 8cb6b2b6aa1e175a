"""What `ec2tasks runs` shows, and which run a beginning of its id names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.values import NOON

from ec2tasks.base.errors import UsageError
from ec2tasks.commands.runs import pick_run, table_rows
from ec2tasks.records.ledger import append, ledger_path
from ec2tasks.records.run import Run

RUN = Run(
    job="20261101-120000-1f4abcd",
    state="ended",
    began=NOON,
    command="make  train\n",
    type="g5.xlarge",
    commit="0123456789abcdef",
    clean=True,
    phases={"ran": 720.0},
    code=0,
    cost=0.126,
)


def row(**values: object) -> tuple[str, ...]:
    return table_rows([Run(**{**vars(RUN), **values})])[1]


def test_a_run_in_the_table() -> None:
    job, _began, *rest = row()
    assert job == f"{NOON.astimezone():%H%M}"
    assert rest == ["ended", "0", "g5.xlarge", "12 min", "$0.13", "012345678", "make train"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"clean": False}, "012345678+"),
        ({"clean": None}, "012345678?"),
        ({"endpoint": "local"}, "local"),
        ({"cost": None}, "-"),
        ({"command": None}, "(shell)"),
        ({"command": "x" * 100}, "x" * 59 + "…"),
    ],
)
def test_what_is_not_as_usual(values: dict[str, object], shown: str) -> None:
    assert shown in row(**values)


def test_a_beginning_names_one_run() -> None:
    other = Run(**{**vars(RUN), "job": "20261101-130000-1f4abcd"})
    assert pick_run([other, RUN], "") is other
    assert pick_run([other, RUN], "20261101-12") is RUN
    for wanted in ("202611", "2027"):
        with pytest.raises(UsageError):
            pick_run([other, RUN], wanted)


def test_they_are_listed_with_no_aws_and_no_settings_that_can_be_read(project: ScratchProject) -> None:
    said = project.ec2tasks("runs", "--json")
    assert (said.code, json.loads(said.out)) == (0, [])
    append(project.root, vars(RUN))
    with ledger_path(project.root).open("a") as file:
        file.write("half a li")
    project.write("ec2.yaml", "instance_typ: [x\n")
    said = project.ec2tasks("runs")
    assert said.code == 0, said.err
    assert f"{NOON.astimezone():%H%M}  " in said.out
    assert said.err == "ec2: warning: a line of .ec2tasks/runs.jsonl can't be read: skipped, and left there\n"
    (one,) = json.loads(project.ec2tasks("runs", "--json").out)
    assert (one["job"], one["cost"], one["phases"]) == (RUN.job, 0.126, {"ran": 720.0})


def test_a_ledger_that_is_a_folder_is_said(project: ScratchProject) -> None:
    Path(ledger_path(project.root)).mkdir(parents=True)
    said = project.ec2tasks("runs")
    assert (said.code, said.out) == (125, "")
    assert "runs.jsonl` can't be read: Is a directory" in said.err
