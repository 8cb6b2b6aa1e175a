"""What a command sees and what of it is seen: pipes, arguments, a terminal, its environment."""

from __future__ import annotations

import re

import pytest
from support.background import start
from support.project import ScratchProject
from support.terminal import Terminal


def test_streams_stay_apart(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "cat >&2 <<< err; echo out")
    assert (said.code, said.out) == (0, "out\n")
    assert "err" in said.err.splitlines()


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("""printf "%s\\n" "a  b" "it's" '$HOME' "back\\\\slash" """, "a  b\nit's\n$HOME\nback\\slash\n"),
        ("echo a\necho b; true # and a comment", "a\nb\n"),
        ("echo é ☃ && exit 0", "é ☃\n"),
        ("pwd", "/home/ubuntu/warm\n"),
        ("cd /; f() { echo $#; }; f 'a b' c", "2\n"),
        ("echo $BASH_VERSION | cut -c 1; echo $0", "5\nbash\n"),
    ],
)
def test_a_command_arrives_unchanged(command: str, out: str, warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", command)
    assert (said.code, said.out) == (0, out), said.err


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("false", 1), ("nosuchcommand", 127)],
)
def test_the_exit_code_is_the_command_s(command: str, code: int, warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", command).code == code


def test_stdin_reaches_the_command(warm: ScratchProject) -> None:
    said = warm.call("ec2tasks", "run", "wc -l", stdin="a\nb\n")
    assert (said.code, said.out.strip()) == (0, "2")


def test_output_comes_as_it_is_written_and_whole(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "seq 300000")
    assert said.out == "".join(f"{n}\n" for n in range(1, 300001))


def test_output_does_not_wait_for_the_end(warm: ScratchProject) -> None:
    process = start(warm, "ec2tasks", "run", "echo first; while [ ! -e go-on ]; do sleep 0.1; done")
    assert process.line() == "first"
    assert not process.over()
    warm.write("go-on", "")
    assert warm.ec2tasks("sync", "--push").code == 0
    said = process.end()
    assert (said.code, said.out) == (0, "first\n"), said.err
    (warm.root / "go-on").unlink()
    warm.ec2tasks("run", "rm go-on")


def test_from_a_subfolder_the_command_runs_in_the_same_one_there(warm: ScratchProject) -> None:
    warm.write("ec2.yaml", "")
    warm.write("sub/file", "")
    try:
        said = warm.call("ec2tasks", "run", "pwd", cwd=warm.root / "sub")
    finally:
        (warm.root / "ec2.yaml").unlink()
    assert said.out == "/home/ubuntu/warm/sub\n", said.err


def test_chosen_variables_go_along_and_show_in_no_process_list(warm: ScratchProject) -> None:
    warm.write("ec2.yaml", "forward_env: [TOKEN, MISSING]\n")
    warm.trust()
    try:
        said = warm.call(
            "ec2tasks",
            "run",
            "echo $TOKEN; grep -l 'h[u]sh' /proc/[0-9]*/cmdline",
            environ={"TOKEN": "it's hush"},
        )
    finally:
        (warm.root / "ec2.yaml").unlink()
    assert said.out == "it's hush\n"
    assert "`MISSING` is not set here" in said.err


def test_the_project_s_own_environment_is_activated(warm: ScratchProject) -> None:
    make = "python3 -m venv --without-pip .venv ~/there"
    assert warm.ec2tasks("run", make).code == 0
    assert warm.ec2tasks("run", "echo $VIRTUAL_ENV").out.strip() == "/home/ubuntu/warm/.venv"
    assert warm.ec2tasks("run", "--env", "none", "echo $VIRTUAL_ENV").out.strip() == ""
    named = warm.ec2tasks("run", "--env", "/home/ubuntu/there", "echo $VIRTUAL_ENV")
    assert named.out.strip().endswith("there")


def test_an_environment_that_is_not_there_is_an_error_unless_marked(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "--env", "nope", "true")
    assert said.code == 125
    assert "no environment nope" in said.err
    assert warm.ec2tasks("run", "--env", "nope?", "true").code == 0


def test_on_a_terminal_the_command_has_one(terminal: Terminal) -> None:
    terminal.type("ec2tasks run 'tty; stty size; test -t 1 && echo yes'; echo code $?")
    screen = terminal.wait_for(r"^code \d+")
    assert re.search(r"^/dev/pts/\d+$", screen, re.MULTILINE)
    assert re.search(r"^30 100$", screen, re.MULTILINE)
    assert re.search(r"^yes$", screen, re.MULTILINE)


def test_ctrl_c_on_a_terminal_ends_the_command_with_130(terminal: Terminal) -> None:
    terminal.type("ec2tasks run 'echo rea''dy; sleep 600'; echo code $?")
    terminal.wait_for(r"^ready")
    terminal.key("C-c")
    terminal.wait_for(r"^code 130")


def test_a_shell_keeps_the_terminal_s_keys(terminal: Terminal) -> None:
    terminal.type("ec2tasks shell; echo code $?")
    terminal.wait_for(r"ubuntu@.*warm\$")
    terminal.type("echo wai''ting; sleep 600")
    terminal.wait_for(r"^waiting")
    terminal.key("C-c")
    terminal.type("echo alive $((40 + 2)) > from-shell; cat from-shell")
    terminal.wait_for(r"^alive 42")
    terminal.key("C-d")
    terminal.wait_for(r"^code \d+")


def test_make_on_a_terminal_shows_colours_as_they_come(terminal: Terminal, warm: ScratchProject) -> None:
    warm.write("Makefile", "train:\n\t@test -t 1 && echo on a terminal\ninclude Makefile.inc\n")
    warm.call("sh", "-c", "ec2tasks makefile > Makefile.inc")
    terminal.type("make on-ec2-train; echo code $?")
    assert "on a terminal" in terminal.wait_for(r"^code 0")
