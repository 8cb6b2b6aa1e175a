"""What is waited for is said, on a terminal in one line, elsewhere once."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest

from ec2tasks.base import output
from ec2tasks.base.waiting import waiting


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_pipe_it_is_said_once_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("SSH", worth_a_word=0.02, renewed=0.01):
        time.sleep(0.2)
    assert re.fullmatch(r"ec2: waiting for SSH\nec2: waited \d+ s for SSH\n", capsys.readouterr().err)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_quick_is_not_said(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Screen() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with waiting("SSH", worth_a_word=600):
        pass
    assert stream.getvalue() == ""


def shown(text: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    lines = (line.rpartition("\r\033[K")[2] for line in text.split("\n"))
    return [re.sub("\033\\[[0-9;]*m", "", line) for line in lines if line]


def test_on_a_terminal_it_is_one_line_that_others_take_the_place_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Screen()
    monkeypatch.setattr(sys, "stderr", stream)
    with waiting("SSH", worth_a_word=0.02, renewed=0.01):
        time.sleep(0.1)
        output.step("the port is opened")
        time.sleep(0.1)
    assert stream.getvalue().count("waiting for SSH: ") > 2
    lines = shown(stream.getvalue())
    assert lines[0] == "ec2: the port is opened"
    assert re.fullmatch(r"ec2: waited \d+ s for SSH", lines[1])
    assert len(lines) == 2


def wait_in_vain() -> None:
    with waiting("SSH", worth_a_word=0.01):
        time.sleep(0.1)
        raise KeyboardInterrupt


@pytest.mark.parametrize("terminal", [True, False])
def test_where_it_fails_the_error_alone_is_left(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Screen() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(KeyboardInterrupt):
        wait_in_vain()
    assert "waited" not in stream.getvalue()
    assert [line for line in shown(stream.getvalue()) if terminal] == []
