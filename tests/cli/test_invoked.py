"""What a task can know of the call around it: the tasks behind it, and variables that Invoke can't take."""

from __future__ import annotations

from typing import Any

import pytest
from invoke.config import Config
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from support.project import ScratchProject

from ec2tasks.base.errors import UsageError
from ec2tasks.cli.invoked import check_lists, unreached_end


def called(*words: str) -> list[ParserContext]:
    """The tasks of a call, `run:false` one with its command."""
    contexts = []
    for word in words:
        name, _, command = word.partition(":")
        args = [Argument(name="command")] if command else []
        context = ParserContext(name, args=args)
        if command:
            context.args["command"].value = command
        contexts.append(context)
    return contexts


@pytest.mark.parametrize(
    ("words", "failed", "end"),
    [
        ("ec2.up ec2.run:false ec2.down", "run:false", "ec2.down"),
        ("up run:false down", "run:false", "down"),
        ("ec2.up ec2.run:a ec2.run:b ec2.down", "run:a", "ec2.down"),
        ("cloud.up mine cloud.down", "up", "cloud.down"),
        ("ec2.up ec2.run:false", "run:false", None),
        ("ec2.down ec2.run:false", "run:false", None),
        ("ec2.down", "down", None),
        ("ec2.up ec2.run:down", "run:down", None),
        ("train ec2.down", "run:false", None),  # the run is a part of `train`
        ("ec2.run:a ec2.down ec2.run:a", "run:a", None),  # which of both failed is not known
    ],
)
def test_the_end_that_a_failure_kept_the_call_from(words: str, failed: str, end: str | None) -> None:
    name, _, command = failed.partition(":")
    given: dict[str, Any] = {"command": command} if command else {}
    assert unreached_end(called(*words.split()), name, given) == end


def test_a_list_that_a_variable_can_t_replace_is_named() -> None:
    config = Config(overrides={"ec2": {"instance_type": ["g5.xlarge"], "region": "eu-west-1"}})
    check_lists(config, {"INVOKE_EC2_REGION": "eu-west-2"})
    check_lists(Config(overrides={"ec2": "another tool's"}), {"INVOKE_EC2_REGION": "eu-west-2"})
    with pytest.raises(UsageError, match=r"INVOKE_EC2_INSTANCE_TYPE: .* for `instance_type`"):
        check_lists(config, {"INVOKE_EC2_INSTANCE_TYPE": "g6.xlarge"})


@pytest.mark.parametrize("argv", [["inv", "ec2.config"], ["ec2tasks", "config"]])
def test_the_variables_of_invoke_work_in_both_ways_in(argv: list[str], project: ScratchProject) -> None:
    project.write("tasks.py", "from ec2tasks import ns\n")
    said = project.call(*argv, environ={"INVOKE_EC2_INSTANCE_TYPE": "g6.xlarge"})
    row = next(line for line in said.out.splitlines() if line.startswith("instance_type"))
    assert row.split() == ["instance_type", "g6.xlarge", "environment", "INVOKE_EC2_INSTANCE_TYPE"]
    project.write("invoke.yaml", "ec2: {instance_type: [g5.xlarge], spot: true}\n")
    said = project.call(*argv, environ={"INVOKE_EC2_SPOT": "no"})
    assert "environment INVOKE_EC2_SPOT" in said.out
    said = project.call(*argv, environ={"INVOKE_EC2_INSTANCE_TYPE": "g6.xlarge"})
    assert "Traceback" not in said.err
    assert said.code == (2 if argv[0] == "inv" else 0)


def test_another_tool_s_key_stops_inv_in_one_line(project: ScratchProject) -> None:
    project.write("tasks.py", "from ec2tasks import ns\n")
    project.write("invoke.yaml", "ec2: us-east-1\n")
    said = project.call("inv", "ec2.config")
    assert said.code == 2
    assert said.err.startswith("ec2tasks: invoke.yaml, key `ec2`: must map settings to values")
    project.write("ec2.yaml", "invoke_settings: no\n")
    assert project.call("inv", "ec2.config").code == 0


def test_a_failing_run_tells_of_the_end_that_was_not_reached(local_project: ScratchProject) -> None:
    local_project.write("tasks.py", "from ec2tasks import ns\n")
    said = local_project.call("inv", "ec2.up", "ec2.run", "exit 3", "ec2.down")
    assert said.code == 3
    assert "`ec2.down`, later in this call, was not reached: `ec2tasks down` ends" in said.err
    assert (local_project.status() or {}).get("state") == "running"
    said = local_project.call("inv", "ec2.up", "ec2.run", "true", "ec2.down")
    assert said.code == 0
    assert "not reached" not in said.err
    assert local_project.status() is None
