"""A final state that nobody asked for changes nothing that was there before, and loses nothing unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.background import start
from support.project import ScratchProject
from support.terminal import Terminal
from support.waiting import until

WAITS = "echo here; while [ ! -e done ]; do sleep 0.1; done"


def state(project: ScratchProject) -> str | None:
    instance = project.status()
    return str(instance["state"]) if instance else None


@pytest.fixture
def left(local_project: ScratchProject) -> ScratchProject:
    """A project whose instance an earlier run has left running, with a checkpoint that stays there."""
    local_project.write(".rsyncignore", "*.ckpt\n")
    local_project.write("Makefile", "peek:\n\techo peek\n")
    said = local_project.ec2tasks("run", "--leave", "echo kept > a.ckpt")
    assert said.code == 0, said.err
    return local_project


def test_what_was_found_running_is_left_running_unless_another_end_is_asked_for(left: ScratchProject) -> None:
    assert left.ec2tasks("init").code == 0
    for argv in (["ec2tasks", "run", "echo peek"], ["ec2tasks", "shell"], ["make", "on-ec2-peek"]):
        said = left.call(*argv)
        assert said.code == 0, said.err
        assert "left running\nhint: it was found running" in said.err
        assert state(left) == "running"
    assert left.ec2tasks("run", "cat a.ckpt").out == "kept\n"
    assert left.ec2tasks("run", "true", AWS_FINAL_STATE="stop").code == 0
    assert state(left) == "stopped"
    left.write("ec2.yaml", "final_state: terminate\n")
    said = left.ec2tasks("run", "true")
    assert "with the instance go 1 ignored file (5 B: a.ckpt), which never come here" in said.err, said.err
    assert state(left) is None


def test_what_was_found_stopped_is_stopped_again_by_the_last_one_out(left: ScratchProject) -> None:
    assert left.ec2tasks("down", "--stop").code == 0
    said = left.ec2tasks("run", "true")
    assert "stopped\nhint: it was found stopped" in said.err
    assert state(left) == "stopped"
    starts = start(left, "ec2tasks", "run", "echo here; while [ ! -e one ]; do sleep 0.1; done")
    assert starts.line() == "here"
    joins = start(left, "ec2tasks", "run", WAITS)
    assert joins.line() == "here"
    assert left.ec2tasks("run", "touch one").code == 0
    assert starts.end().code == 0
    assert left.ec2tasks("run", "touch done").code == 0
    assert joins.end().code == 0
    assert state(left) == "stopped"


def test_what_a_call_launched_ends_as_by_default_whoever_leaves_last(local_project: ScratchProject) -> None:
    launches = start(local_project, "ec2tasks", "run", "echo here; while [ ! -e one ]; do sleep 0.1; done")
    assert launches.line() == "here"
    peeks = start(local_project, "ec2tasks", "run", WAITS)
    assert peeks.line() == "here"
    assert local_project.ec2tasks("run", "touch one").code == 0
    assert launches.end().code == 0
    assert state(local_project) == "running"
    assert local_project.ec2tasks("run", "touch done").code == 0
    assert peeks.end().code == 0
    assert state(local_project) is None


def test_a_job_left_on_an_instance_found_running_carries_no_other_end(left: ScratchProject) -> None:
    assert left.ec2tasks("run", "--detach", "true").code == 0
    jobs = json.loads(left.ec2tasks("jobs", "--json").out)
    assert jobs[0]["final_state"] == "leave"
    assert left.ec2tasks("finish").code == 0
    assert state(left) == "running"


def test_big_ignored_files_stop_it_where_nobody_can_be_asked(
    local_project: ScratchProject,
) -> None:
    local_project.write(".rsyncignore", "*.ckpt\n")
    said = local_project.ec2tasks("run", "truncate -s 101M a.ckpt")
    assert said.code == 0
    assert "stopped, because 1 ignored file (105.9 MB: a.ckpt) would be lost" in said.err
    assert "hint: `ec2tasks shell` looks at them" in said.err
    assert state(local_project) == "stopped"
    said = local_project.ec2tasks("run", "--terminate", "true")
    assert "with the instance go 1 ignored file (105.9 MB: a.ckpt)" in said.err
    assert state(local_project) is None


@pytest.fixture
def own_terminal(local_project: ScratchProject) -> Iterator[Terminal]:
    found = Terminal(local_project)
    yield found
    found.end()


def test_on_a_terminal_it_is_asked(local_project: ScratchProject, own_terminal: Terminal) -> None:
    local_project.write(".rsyncignore", "*.ckpt\n")
    own_terminal.type("ec2tasks run 'truncate -s 101M a.ckpt'; echo code $?")
    own_terminal.wait_for(r"never come here: terminate the instance, and lose them\? \[y/N\]")
    own_terminal.type("y")
    own_terminal.wait_for("^code 0")
    until(lambda: state(local_project) is None, "it is terminated")
