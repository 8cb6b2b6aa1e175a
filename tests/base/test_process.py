from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits, TooLongError
from ec2tasks.base.process import Tools, check_tools, command_line, end_quietly, exit_code


@pytest.mark.parametrize(("returncode", "code"), [(0, 0), (7, 7), (255, 255), (-9, 137), (-2, 130)])
def test_an_end_as_a_shell_says_it(returncode: int, code: int) -> None:
    assert exit_code(returncode) == code


def test_a_missing_tool_names_its_package() -> None:
    with pytest.raises(Failure) as caught:
        Tools().capture(["rsync-that-is-not-there"])
    assert "rsync-that-is-not-there" in caught.value.what
    with pytest.raises(Failure) as caught:
        check_tools(["ssh"], which=lambda _name: None)
    assert "openssh-client" in str(caught.value.hint)


def test_what_takes_too_long_is_ended() -> None:
    answer = Tools().capture(["sleep", "600"], limits=Limits(seconds=0.2))
    assert answer.returncode == 124
    with pytest.raises(TooLongError, match="`sleep` gave no full answer"):
        answer.within_limits()


def test_echo_shows_the_command_as_a_shell_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    Tools(echo=True).capture(["printf", "a b"])
    assert "$ printf 'a b'" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["import sys; sys.stdin.read()", "import time; time.sleep(600)"])
def test_a_helper_ends_with_its_input_or_when_told(code: str) -> None:
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as tool:
        end_quietly(tool, tool.stdin)
        assert tool.returncode is not None


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["ssh", "-F", "none", "-o", "Port=22", "-i", "a@b", "-O", "check", "u@h"], "ssh … -O check u@h"),
        (
            [
                "ssh",
                "-T",
                "-F",
                "none",
                "u@h",
                shlex.join(["bash", "-c", "echo 'a\nb'\n", "run.sh", "p", "x\ny"]),
            ],
            "ssh … u@h run.sh p '…'",
        ),
        (["ssh", "u@h", "it's"], """ssh … u@h 'it'"'"'s'"""),
        (["rsync", "-a", "--rsh=ssh -F none -o Port=22", "a b", "h:"], "rsync -a '--rsh=ssh …' 'a b' h:"),
    ],
)
def test_a_command_is_shown_on_one_line(argv: list[str], line: str) -> None:
    assert command_line(argv) == line
