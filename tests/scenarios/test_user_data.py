"""The first run on an instance begins once the user's own `user_data` has ended there."""

from __future__ import annotations

import pytest
from support.background import start
from support.project import ScratchProject
from support.waiting import until


def launch_with(project: ScratchProject, *script: str) -> None:
    text = "".join(f"  {line}\n" for line in ("#!/bin/sh", *script))
    project.write("ec2.yaml", f"final_state: leave\nuser_data: |\n{text}")


@pytest.mark.parametrize("first", [["run", "cat ~/made"], ["up"]])
def test_what_user_data_makes_is_there_in_the_first_run(
    local_project: ScratchProject, first: list[str]
) -> None:
    launch_with(local_project, "sleep 4", "echo made >$HOME/made")
    began = local_project.ec2tasks(*first)
    assert began.code == 0, began.err
    assert "waiting for user_data to end on the instance: 0 s" in began.err
    assert "user_data has ended" in began.err
    again = local_project.ec2tasks("run", "cat ~/made")
    assert again.out == "made\n"
    assert "user_data" not in again.err


def test_another_client_waits_too(local_project: ScratchProject) -> None:
    launch_with(local_project, "sleep 6", "echo made >$HOME/made")
    first = start(local_project, "ec2tasks", "run", "cat ~/made")
    until(lambda: first.says("waiting for user_data"), "the first client's waiting")
    assert local_project.ec2tasks("run", "cat ~/made").out == "made\n"
    assert first.end().code == 0


def test_one_that_failed_is_said_once_with_its_last_lines(local_project: ScratchProject) -> None:
    launch_with(local_project, "seq 99", r"printf 'no such \033[2Jpackage\n'", "exit 3")
    run = local_project.ec2tasks("run", "echo ran")
    assert (run.code, run.out) == (0, "ran\n")
    assert "ec2: warning: user_data failed on " in run.err
    assert "scripts_user" in run.err
    assert r"    no such \x1b[2Jpackage" in run.err
    assert "    99\n" in run.err
    assert "    9\n" not in run.err
    assert "hint: `ec2tasks" in run.err
    assert "user_data" not in local_project.ec2tasks("run", "echo ran").err


def test_an_instance_that_user_data_ends_is_named(local_project: ScratchProject) -> None:
    launch_with(local_project, "sleep 3", "shutdown -h now", "sleep 60")
    run = local_project.ec2tasks("run", "echo ran")
    assert run.code == 125
    assert "ended before its user_data did" in run.err
    assert "ran\n" not in run.out
