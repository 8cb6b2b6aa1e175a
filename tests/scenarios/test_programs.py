"""What programs rely on: JSON of the promised form and nothing else on stdout, exit codes, no questions."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from jsonschema import Draft7Validator
from support.background import start
from support.project import CommandResult, ScratchProject
from support.repository import REPO

from ec2tasks.cli.answers import ANSWERS, schema_of
from ec2tasks.cli.tasks import ec2
from ec2tasks.usage.samples import Sample, read_samples
from ec2tasks.usage.summary import Summary, summed_up

CALLS = {
    "check": ("check",),
    "config": ("config",),
    "env": ("env",),
    "jobs": ("jobs",),
    "local.status": ("local.status",),
    "ls": ("ls",),
    "ports": ("ports",),
    "quote": ("quote",),
    "reap": ("reap", "--dry"),
    "report": ("report",),
    "runs": ("runs",),
    "status": ("status",),
    "sync --diff": ("sync", "--diff"),
    "use": ("use",),
    "use --follow": ("use", "--follow"),
}


def check(task: str, said: CommandResult) -> object:
    """The answer, which is of the form that the schema promises, and no more than that."""
    assert said.code == 0, said.err
    # With --follow a line each, of which a short job has none.
    form = schema_of(ANSWERS[task], strict=True)
    if "follow" in task:
        form = {"type": "array", "items": form}
        said = replace(said, out=f"[{','.join(said.out.splitlines())}]")
    value = json.loads(said.out)
    Draft7Validator(form).validate(value)
    return value


def test_every_task_that_takes_json_has_its_answer_and_is_called_here() -> None:
    """One without: add its type to ANSWERS in ec2tasks/cli/answers.py, and a call above."""
    takes = {
        name
        for name, task in ((name, ec2[name]) for name in ec2.task_names)
        if any("json" in argument.names for argument in task.get_arguments())
    }
    assert {task.split()[0] for task in ANSWERS} == takes
    assert set(CALLS) == set(ANSWERS)


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(json.loads((REPO / "docs" / "json.schema.json").read_text(encoding="utf-8")))


def test_answers_have_the_promised_form(warm: ScratchProject) -> None:
    warm.write("new.py", "x = 1\n")
    assert warm.ec2tasks("run", "--detach", "--no-rsync", "true").code == 0
    assert warm.ec2tasks("finish", "--leave").code == 0
    for task, words in CALLS.items():
        value = check(task, warm.ec2tasks(*words, "--json"))
        assert value or task in ("reap", "use --follow"), task


def test_with_no_instance_they_say_so_in_the_same_form(local_project: ScratchProject) -> None:
    assert check("status", local_project.ec2tasks("status", "--json")) is None
    assert check("ls", local_project.ec2tasks("ls", "--json")) == []
    assert check("runs", local_project.ec2tasks("runs", "--json")) == []
    said = local_project.ec2tasks("jobs", "--json")
    assert (said.code, said.out) == (125, "")
    assert "hint:" in said.err


def test_what_was_sampled_has_the_promised_form() -> None:
    text = "".join(
        f"t={10 * i} cpu=0.25 memory=1/4 disk=1/8 network={i}/0 gpu=0.5,1,16,50,-\n" for i in range(1, 4)
    )
    samples = read_samples(text)
    summary = summed_up(samples)
    assert summary
    for kind, values in ((Sample, asdict(samples[0])), (Summary, asdict(summary))):
        Draft7Validator(schema_of(kind, strict=True)).validate(json.loads(json.dumps(values)))


def interrupted(project: ScratchProject) -> int:
    process = start(project, "ec2tasks", "run", "--leave", "echo here; sleep 60")
    assert process.line() == "here"
    process.signal(signal.SIGINT)
    return process.end().code


def unread(project: ScratchProject) -> int:
    # In a shell of its own: nothing else that is started meanwhile has got the pipe's other end.
    return project.call("bash", "-c", "exec 3> >(:); wait $!; exec ec2tasks --help config >&3").code


def ran(command: str) -> Callable[[ScratchProject], int]:
    return lambda project: project.ec2tasks("run", "--leave", "--no-rsync", command).code


EXITS: dict[str, tuple[int, Callable[[ScratchProject], int]]] = {
    "0": (0, ran("true")),
    "1": (1, lambda project: project.ec2tasks("check", "--security-group", "nobody-s").code),
    "2": (2, lambda project: project.ec2tasks("run", "--stop", "--leave", "true").code),
    "125": (125, lambda project: project.ec2tasks("jobs", "--name", "nobody-s").code),
    "130": (130, interrupted),
    "128 + n": (128 + signal.SIGTERM, ran("kill -TERM $$")),
    "141": (141, unread),
    "any other": (7, ran("exit 7")),
}


@pytest.mark.parametrize("code", EXITS)
def test_an_exit_code_is_the_one_in_the_table(code: str, warm: ScratchProject) -> None:
    expected, cause = EXITS[code]
    assert cause(warm) == expected


def test_the_table_has_these_exit_codes_and_no_other() -> None:
    page = (REPO / "docs" / "programs.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    assert re.findall(r"^\| (\d.*?|any other) \|", page, re.MULTILINE) == list(EXITS)
