"""`ec2tasks check`: what is shown, for people and for scripts."""

from __future__ import annotations

import json

import pytest

from ec2tasks.commands.check import check_json, exit_code, show
from ec2tasks.commands.findings import Finding, Level, ok

WELL = ok("region", "eu-central-1")
WARNED = Finding(name="clock", level=Level.WARNING, text="off", hint="set it")
BROKEN = Finding(name="quota", level=Level.MEND, text="0 of 0", hint="ask for more")


def test_a_warning_lets_a_script_go_on_and_what_is_to_mend_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (exit_code([WELL, WARNED]), exit_code([WELL, WARNED, BROKEN])) == (0, 1)
    assert json.loads(json.dumps(check_json([WELL, BROKEN])))["ok"] is False
    show([WELL, WARNED, BROKEN])
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "ok      region          eu-central-1",
        "warning clock           off",
        "   hint: set it",
        "mend    quota           0 of 0",
        "   hint: ask for more",
    ]
    assert "to mend before a run: quota" in said.err
    show([WELL, WARNED])
    assert "nothing keeps a run from working" in capsys.readouterr().err
