from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import tty
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.shown import shown


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


# Whatever a file name, a tag or an answer may hold: also bytes that are no UTF-8, as Python has them.
ANY_TEXT = st.text(st.characters(categories=None) | st.sampled_from("\\nrtxuU0a\x1b\n\t\udcff\u202e "))
ESCAPE = re.compile(r"\\(?:\\|[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def unescaped(text: str) -> str:
    """The text that is shown so; read as Python reads it."""
    return ESCAPE.sub(lambda match: codecs.decode(match[0], "unicode_escape"), text)


def is_harmless(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] not in "CZ"


@given(ANY_TEXT)
def test_nothing_that_is_shown_moves_a_cursor_or_hides(text: str) -> None:
    assert all(is_harmless(char) for char in shown(text))


@given(ANY_TEXT)
def test_what_is_shown_tells_what_it_was_so_that_no_two_names_look_alike(text: str) -> None:
    assert unescaped(shown(text)) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("results/größe ≈ 3 → 日本.txt", "results/größe ≈ 3 → 日本.txt"),
        ("a\x1b[2Jec2: all fine", "a\\x1b[2Jec2: all fine"),
        ("a\nec2: all fine", "a\\nec2: all fine"),
        ("a\\nb", "a\\\\nb"),
        (r"it'\''s \d+ C:\data", r"it'\''s \d+ C:\data"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth\u00a0space\u3164\ufe0f", "zero\\u200bwidth\\xa0space\\u3164\\ufe0f"),
        ("\x9b2J\x7f\udcff\U000e0041", "\\x9b2J\\x7f\\udcff\\U000e0041"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
    ],
)
def test_a_text_as_it_is_shown(text: str, seen: str) -> None:
    assert shown(text) == seen


WAYS: dict[str, Callable[[str], object]] = {
    "step": output.step,
    "warning": output.warning,
    "its hint": lambda text: output.warning("w", hint=text or "-"),
    "its lines": lambda text: output.warning("w", lines=[text]),
    "hint": output.hint,
    "data": output.data,
    "label": lambda text: output.data("d", label=text, colour="red"),
    "table": lambda text: output.table([("A", "B"), (text, text)]),
    "json": lambda text: output.json({"a": text}),
    "document": output.document,
    "error": lambda text: sys.stderr.write(f"{Failure(text, lines=[text], hint=text or '-').message}\n"),
}


def said(way: str, text: str) -> str:
    screen = Screen()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        WAYS[way](text)
    return screen.getvalue()


@pytest.mark.parametrize("way", WAYS)
@given(text=ANY_TEXT)
def test_whatever_says_it_only_our_colours_and_line_ends_act_on_the_terminal(way: str, text: str) -> None:
    plain = re.sub(r"\x1b\[\d+m", "", said(way, text))
    allowed = "\n\t" if way == "document" else "\n"
    assert all(is_harmless(char) or char in allowed for char in plain)
    if way != "document":
        assert plain.count("\n") == re.sub(r"\x1b\[\d+m", "", said(way, "plain")).count("\n")
    if way == "json":
        assert json.loads(plain) == {"a": text}


@given(ANY_TEXT)
def test_a_narrow_table_shows_nothing_else(text: str) -> None:
    lines = output.columns([("A", "B"), (text, "x" * 90)], room=40).split("\n")
    assert lines[0] == f"A  {shown(text)}"
    assert all(is_harmless(char) for line in lines for char in line)


def test_what_a_stream_can_not_encode_is_escaped() -> None:
    code = "from ec2tasks.base import output; output.data('3 → \U0001f600'); output.step('→')"
    argv = ["env", "PYTHONIOENCODING=ascii:strict", sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("3 \\u2192 \\U0001f600\n", "ec2: \\u2192\n")


def test_a_title_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress_bar("[red]push[/red]\x1b[2J", 10, 3) as moved:
        moved(10, 2)
    shown = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    assert "[red]push[/red]\\x1b[2J, 2 of 3 files" in shown


@pytest.mark.parametrize(
    ("environ", "moving"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"CI": "true"}, False),
        ({"CI": "false"}, True),
        ({"CI": ""}, True),
        ({"MAKEFLAGS": "s"}, False),
        ({"MAKEFLAGS": "ks -j2 --jobserver-auth=3,4"}, False),
        ({"MAKEFLAGS": " -j2 --jobserver-auth=3,4"}, True),
        ({"MAKEFLAGS": "kw"}, True),
        ({"MAKEFLAGS": "NAMES=s"}, True),
        ({"MAKEFLAGS": " -- NAMES=s"}, True),
        ({"MAKEFLAGS": "--silent-not"}, True),
    ],
)
def test_where_what_changes_in_place_is_shown(
    environ: dict[str, str], moving: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    assert output.shows_moving(environ) is moving
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not output.shows_moving(environ)


def test_an_error_that_the_work_goes_on_after_is_said_whole(capsys: pytest.CaptureFixture[str]) -> None:
    output.warn_of(Failure("it broke", lines=["their words"], hint="type this"))
    assert capsys.readouterr().err == "ec2: warning: it broke\n    their words\nhint: type this\n"


ASKING = """
import fcntl, sys, termios
from ec2tasks.base.output import ask_text
if len(sys.argv) > 2:
    fcntl.ioctl(int(sys.argv[2]), termios.TIOCSCTTY, 0)
print(ask_text("Code\\x1b[31m?", patience=float(sys.argv[1])))
"""


@pytest.mark.parametrize(("patience", "typed", "answer"), [(60, b"12 34\n", "12 34"), (0.1, b"", "None")])
def test_a_line_is_asked_for_on_the_session_s_terminal_wherever_stdin_leads(
    patience: float, typed: bytes, answer: str
) -> None:
    terminal, end = pty.openpty()
    argv = [sys.executable, "-c", ASKING, str(patience), str(end)]
    asking = subprocess.Popen(
        argv,
        start_new_session=True,
        pass_fds=[end],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    shown = b""
    while b"? " not in shown:
        shown += os.read(terminal, 100)
    os.write(terminal, typed)
    assert asking.communicate(timeout=60)[0] == f"{answer}\n"
    assert shown.startswith(b"ec2: Code\\x1b[31m? ")
    os.close(terminal)
    os.close(end)


def test_without_a_terminal_nobody_is_asked() -> None:
    argv = [sys.executable, "-c", ASKING, "60"]
    said = subprocess.run(
        argv, start_new_session=True, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    assert said.stdout == "None\n"


@pytest.mark.parametrize(
    ("command", "room", "last"),
    [
        ("make train", 40, "make train"),
        ("make " + "x" * 40, 40, "make " + "x" * 26 + "…"),
        ("make " + "x" * 40, 20, "make " + "x" * 40),  # a narrow one shows a row as lines
    ],
)
def test_the_last_column_is_cut_to_the_room_that_is_left(command: str, room: int, last: str) -> None:
    rows = output.with_last_cut([("JOB", "COMMAND"), ("091203", command)], room)
    assert [row[-1] for row in rows] == ["COMMAND", last]
