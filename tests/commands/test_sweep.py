"""What the runs of a sweep print, behind their names, and the machines of those that are killed."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.values import INSTANCE, call_context

from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import open_state
from ec2tasks.commands import untold
from ec2tasks.commands.sweep import LINE_LIMIT, Child, Sweep, SweepRequest, relay
from ec2tasks.lifecycle.context import CallContext


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("acc 0.9\n", "out/1 | acc 0.9\n"),
        ("no end", "out/1 | no end\n"),
        (" 1%\r50%\r100%\n", "out/1 | 100%\n"),
        ("windows\r\n\n", "out/1 | windows\nout/1 | \n"),
        ("\x1b[2Jgone\n", "out/1 | \\x1b[2Jgone\n"),
        ("x" * LINE_LIMIT + "y\n", f"out/1 | {'x' * LINE_LIMIT}\nout/1 | y\n"),
    ],
)
def test_lines_stand_behind_the_variant(printed: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    child = Child(label="out/1", process=program, began=time.monotonic())
    assert program.stdin
    with program:
        program.stdin.write(printed.encode())
        program.stdin.close()
        relay(child, program.stdout, is_error=False)
    assert capsys.readouterr().out == shown


def test_the_last_line_is_one_with_something_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    program = subprocess.Popen(["printf", "acc 0.8\nacc 0.9\n \n\n"], stdout=subprocess.PIPE)
    child = Child(label="out/1", process=program, began=time.monotonic())
    with program:
        relay(child, program.stdout, is_error=False)
    assert child.last == "acc 0.9"
    assert "acc 0.8" in capsys.readouterr().out


NOW = datetime.now(timezone.utc)


@pytest.mark.parametrize(
    ("instance", "asked", "ended", "said"),
    [
        (replace(INSTANCE, launched=NOW + timedelta(days=1)), {}, "shop-1 terminate", ""),
        (
            replace(INSTANCE, launched=NOW + timedelta(days=1)),
            {"final_state": "leave"},
            "",
            "left running: shop-1;",
        ),
        (replace(INSTANCE, launched=NOW - timedelta(days=1)), {}, "", "left running: shop-1;"),
        (replace(INSTANCE, state="stopped"), {}, "", ""),
        (None, {}, "", ""),
        (Failure("AWS is away"), {}, "", "whether a machine was left running can't be told: AWS is away"),
    ],
)
def test_a_run_that_is_killed_leaves_no_machine_that_nobody_hears_of(
    instance: Instance | Failure | None,
    asked: dict[str, str],
    ended: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def find(context: CallContext) -> Instance | None:
        if isinstance(instance, Failure):
            raise instance
        return instance and replace(instance, name=context.settings.name)

    state = open_state({"HOME": str(tmp_path)})
    monkeypatch.setattr(untold, "find_instance", find)
    request = SweepRequest(
        due=["out/1"],
        machines=1,
        keeps_going=True,
        again="again",
        run_argv=lambda _variant: ["sh", "-c", "kill -9 $$"],
        down_argv=lambda machine, final_state: ["echo", machine, final_state.value],
    )
    Sweep(context=call_context(state, name="shop", **asked), request=request).run()
    shown = capfd.readouterr()
    assert [line for line in shown.out.splitlines() if line.startswith("shop-1 | ")] == (
        [f"shop-1 | {ended}"] if ended else []
    )
    assert said in shown.err
    assert ("left running" in shown.err) == ("left running" in said)


def test_machines_that_could_not_be_ended_are_named_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    launched = replace(INSTANCE, name="shop-1", launched=NOW + timedelta(days=1))
    monkeypatch.setattr(untold, "find_instance", lambda _context: launched)
    state = open_state({"HOME": str(tmp_path)})
    request = SweepRequest(
        due=["out/1"],
        machines=1,
        keeps_going=True,
        again="again",
        run_argv=lambda _variant: ["false"],
        down_argv=lambda _machine, _final_state: ["false"],
    )
    assert Sweep(context=call_context(state, name="shop"), request=request).run() == 125
    assert "could not be ended as asked: shop-1" in capfd.readouterr().err
