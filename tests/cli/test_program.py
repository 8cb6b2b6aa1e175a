from __future__ import annotations

import subprocess
import sys

import pytest
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks import __version__
from ec2tasks.cli.options import RUN_OPTIONS
from ec2tasks.cli.program import program


def test_the_page_of_tasks_is_what_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/docs.py", "--check"], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_may_stand_behind_the_task(word: str, project: ScratchProject) -> None:
    said = project.ec2tasks("run", word)
    assert said.code == 0
    assert said.out == project.ec2tasks("--help", "run").out
    assert "--no-rsync" in said.out


def test_the_module_is_the_program_too(project: ScratchProject) -> None:
    said = project.call(sys.executable, "-m", "ec2tasks", "--version")
    assert said.out == f"ec2tasks {__version__}\n"


def test_a_reader_that_goes_away_is_no_error_of_ours(project: ScratchProject) -> None:
    said = project.call("sh", "-c", "ec2tasks run --help | true")
    assert "Traceback" not in said.err


def test_a_bug_of_ours_ends_with_125_and_its_traceback(project: ScratchProject) -> None:
    code = (
        "import ec2tasks.cli.context, ec2tasks.cli.program as p, sys;"
        "ec2tasks.cli.context.find_project = lambda cwd: 1 / 0;"
        "sys.argv = ['ec2tasks', 'config'];"
        "p.main()"
    )
    said = project.call(sys.executable, "-c", code)
    assert said.code == 125
    assert "ZeroDivisionError" in said.err


def test_broken_yaml_of_invoke_s_own_is_one_line(project: ScratchProject) -> None:
    from pathlib import Path

    (Path(project.environ["HOME"]) / ".invoke.yaml").write_text("a: [\n")
    said = project.ec2tasks("config")
    assert said.code == 2
    assert "Traceback" not in said.err


def test_every_option_reaches_its_task_under_its_name() -> None:
    found = program().namespace
    assert found is not None
    contexts = {context.name: context for context in found.to_contexts()}
    names = set(contexts["run"].as_kwargs)
    assert {option.names[0] for option in RUN_OPTIONS} <= names


def test_completion_lists_the_tasks(project: ScratchProject) -> None:
    said = project.call("ec2tasks", "--complete", "--", "ec2tasks ")
    assert {"run", "sync", "local.up"} <= set(said.out.split())


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("rnu true", "did you mean `run`?"),
        ("run --stp true", "did you mean `--stop`?"),
        ("run --stp", "did you mean `--stop`?"),
        ("logs --folow", "did you mean `--follow`?"),
        ("run --verbos=1 true", "did you mean `--verbose`?"),
        ("--eco run true", "did you mean `--echo`?"),
        ("down --leave", "`ec2tasks down --help` lists its options"),
        ("--xyzzy", "`ec2tasks --list` lists the tasks, `ec2tasks TASK --help` its options"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(
    words: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program().run(["ec2tasks", *words.split()])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"hint: {hint}"
