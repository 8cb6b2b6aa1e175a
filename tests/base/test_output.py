from __future__ import annotations

import io
import pty
import subprocess
import sys
import tty

import pytest

from ec2tasks.base import output


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Screen(), {}, True),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": ""}, True),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    stream: io.StringIO, environ: dict[str, str], colour: bool
) -> None:
    assert output.wants_colour(stream, environ) is colour


def test_progress_goes_to_stderr_and_data_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output.step("launching")
    output.warning("late", hint="wait")
    output.data("i-1")
    said = capsys.readouterr()
    assert said.out == "i-1\n"
    assert said.err == "ec2: launching\nec2: warning: late\nhint: wait\n"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("NAME", "STATE"), ("a-long-name", "up"), ("b", "stopped")]
    assert output.columns(rows).splitlines() == [
        "NAME         STATE",
        "a-long-name  up",
        "b            stopped",
    ]


def test_a_table_too_wide_for_the_terminal_is_shown_cell_by_cell() -> None:
    rows = [("NAME", "ZONE"), ("a" * 30, "x"), ("b", "y" * 30)]
    assert output.columns(rows, room=80).count("\n") == 2
    assert output.columns(rows, room=60).splitlines() == [
        "NAME  " + "a" * 30,
        "ZONE  x",
        "",
        "NAME  b",
        "ZONE  " + "y" * 30,
    ]


def test_a_closed_stderr_stops_nothing() -> None:
    loop = "for n in range(20000): output.step('x' * 50)"
    code = f"from ec2tasks.base import output\n{loop}\nprint('done')"
    argv = ["bash", "-c", '{ "$0" -c "$1" 2>&1 >&3 | head -n 1 >/dev/null; } 3>&1', sys.executable, code]
    assert subprocess.run(argv, capture_output=True, text=True).stdout == "done\n"


def test_a_line_ends_at_the_margin_of_a_terminal_in_raw_mode_too() -> None:
    ours, its = pty.openpty()
    with open(ours, "rb"), open(its, "w") as stream:  # noqa: PTH123  # these are no paths
        assert output.line_end(stream) == "\n"
        tty.setraw(its)
        assert output.line_end(stream) == "\r\n"
    assert output.line_end(io.StringIO()) == "\n"
