"""The command of `run` in several words, as ssh takes it."""

from __future__ import annotations

import pytest
from support.project import ScratchProject

from ec2tasks.base.errors import UsageError
from ec2tasks.cli.program import program


def asked(line: list[str]) -> list[str]:
    """What Invoke's parser is given for these words."""
    found = program()
    found.normalize_argv(["ec2tasks", *line])
    return found.argv[1:]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("run who am i", "who am i"),
        ("run ls -l", "ls -l"),
        ("run df -h .", "df -h ."),
        ("--echo run who am i", "who am i"),
        ("-T 5 run who am i", "who am i"),
        ("run --leave who am i", "who am i"),
        ("run -L 8888 who am i", "who am i"),
        ("run -L8888 who am i", "who am i"),
        ("run -L=8888 who am i", "who am i"),
        ("run -sL 8888 who am i", "who am i"),
        ("run --type g5.xlarge -i key who am i", "who am i"),
        ("run --type=g5.xlarge -lv who am i", "who am i"),
        ("run --stop -- pytest --verbose --name x", "pytest --verbose --name x"),
        ("run python train.py --epochs 3", "python train.py --epochs 3"),
        ("run run", "run"),
        ("run make status", "make status"),
    ],
)
def test_the_command_may_be_several_words(line: str, command: str) -> None:
    words = line.split()
    before = words[: len(words) - len(command.split())]
    assert asked(words) == [*(word for word in before if word != "--"), command]


@pytest.mark.parametrize(
    "line",
    [
        ["run", "make a b"],
        ["run", "make a b", "--stop"],
        ["run", "make a b", "status"],
        ["run", "true"],
        ["run", "--nope", "true"],
        ["run"],
        ["run", "-L"],
        ["make", "train", "--stop"],
        ["up", "run", "true"],
        ["--list", "run"],
        [],
    ],
)
def test_anything_else_is_left_to_invoke(line: list[str]) -> None:
    assert asked(line) == line


@pytest.mark.parametrize("line", ["run true --leave", "run ./train.sh --name x", "run make --type=x"])
def test_an_option_that_could_be_either_s_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="stands behind the command"):
        asked(line.split())


def test_help_may_stand_anywhere() -> None:
    assert asked(["run", "train", "--help"]) == ["--help", "run"]
    assert asked(["run", "--help"]) == ["--help", "run"]
    assert asked(["run", "ls --help"]) == ["run", "ls --help"]


def test_an_ambiguous_option_is_one_line_and_2(project: ScratchProject) -> None:
    said = project.ec2tasks("run", "true", "--local")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert "`--local` stands behind the command" in said.err


def test_who_am_i(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "--leave", "echo", "a", "  b", "$((40+2))")
    assert (said.code, said.out) == (0, "a b 42\n"), said.err
