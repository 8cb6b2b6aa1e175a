"""What the runs of a sweep print, behind their names."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ec2tasks.commands.sweep import LINE_LIMIT, Child, relay


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
