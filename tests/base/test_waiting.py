"""What is waited for is said, on a terminal in one line, elsewhere once."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

import pytest

from ec2tasks.base import output
from ec2tasks.base.state import State
from ec2tasks.base.waiting import waiting
from ec2tasks.base.waits import Usual


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
    assert len(re.findall("waiting [0-9]+ s for SSH", stream.getvalue())) > 2
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


@pytest.mark.parametrize("terminal", [True, False])
def test_how_long_it_usually_takes_is_said_once_it_is_known(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Usual(state=State(folder=tmp_path, sockets=tmp_path), kind="SSH here")
    for words in ("", " (usually 0 s)"):
        stream = Screen() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        with waiting("it", usual=usual, worth_a_word=0.02, renewed=0.01):
            time.sleep(0.1)
        # What is no real terminal here is 20 columns wide.
        said = f"waiting 0 s{words} for it"[:20] if terminal else f"waiting for it{words}\n"
        assert said in stream.getvalue()


def test_what_is_quick_or_fails_is_no_wait_to_remember(tmp_path: Path) -> None:
    usual = Usual(state=State(folder=tmp_path, sockets=tmp_path), kind="SSH here")
    with waiting("it", usual=usual, worth_a_word=600):
        pass
    with pytest.raises(ZeroDivisionError), waiting("it", usual=usual, worth_a_word=0.0):
        _ = 1 / 0
    assert usual.words() == ""
