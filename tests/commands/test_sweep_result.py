"""How a sweep went, and what becomes of its machines."""

from __future__ import annotations

from typing import Any

import pytest
from support.values import NOON, settings

from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.sweep_result import Result, ends, left, rows, standing, summary
from ec2tasks.records.run import Run


def run(machine: str, **more: Any) -> Run:
    return Run(job="20261101-120000-0000000", state="ended", began=NOON, machine=machine, **more)


@pytest.mark.parametrize(
    ("options", "runs", "wanted"),
    [
        # Nobody asked: what was launched is terminated, what was found is left, what was stopped is so again.
        (
            {},
            [run("a", launched=True), run("a"), run("b"), run("c", started=True)],
            {"a": "terminate", "c": "stop"},
        ),
        ({}, [run("a", started=True), run("a", launched=True)], {"a": "terminate"}),
        ({}, [run("")], {}),
        # Asked for, it is for all that were used.
        ({"final_state": "stop"}, [run("a", launched=True), run("b")], {"a": "stop", "b": "stop"}),
        ({"final_state": "leave"}, [run("a", launched=True)], {}),
    ],
)
def test_what_becomes_of_the_machines(
    options: dict[str, str], runs: list[Run], wanted: dict[str, str]
) -> None:
    asked = settings(**options)
    assert ends(runs, asked) == {machine: FinalState(state) for machine, state in wanted.items()}
    assert left(runs, asked) == sorted({run.machine for run in runs} - {"", *wanted})


RESULTS = [
    Result(variant="out/1", code=0, seconds=90, last="acc 0.9"),
    Result(variant="out/2", code=2, seconds=5, last="x" * 100),
    Result(variant="out/3"),
]


def test_the_table_has_a_row_for_each_variant() -> None:
    # The newest first: of a variant that ran twice the last run counts.
    runs = [run("m-2", recipe="out/1", cost=0.5), run("m-1", recipe="out/1", cost=0.2)]
    assert rows(RESULTS, runs) == [
        ("VARIANT", "MACHINE", "TOOK", "COST", "CODE", "LAST LINE"),
        ("out/1", "m-2", "2 min", "$0.50", "0", "acc 0.9"),
        ("out/2", "-", "5 s", "-", "2", "x" * 59 + "…"),
        ("out/3", "-", "-", "-", "not begun", ""),
    ]
    assert (
        summary(RESULTS, runs) == "1 of 3 variants made, 1 failed, 1 not begun, on 2 machines, cost ≈ $0.70"
    )


def test_how_far_it_is() -> None:
    assert standing(RESULTS[:2], running=2, waiting=8) == "2 of 12 are over, 1 of them failed, 2 run, 8 wait"
    assert standing(RESULTS[:1], running=0, waiting=0) == "1 of 1 are over"
