"""A command that hangs ends its instance, without this machine, and nothing of it is lost."""

from __future__ import annotations

import json

from support.local_ec2 import until_state
from support.project import ScratchProject

HANGS = "echo 1 >made; exec 9>held; flock 9; flock held true"


def test_a_command_that_hangs_is_stopped_and_what_it_made_and_used_is_here(
    local_project: ScratchProject,
) -> None:
    project = local_project
    project.write("ec2.yaml", "pull_every: never\n")
    said = project.ec2tasks("run", "--terminate", "--stalled-stop", "16 s", HANGS)
    assert said.code == 125, said.err
    assert "stalled_stop ends the instance, whose commands do nothing, at " in said.err
    assert "ended by stalled_stop" in said.err
    # Terminated it is never.
    until_state(project, "stopped")
    assert project.read("made") == "1\n"
    used = project.ec2tasks("use", "--json")
    assert used.code == 0, used.err
    assert json.loads(used.out)["use"]["count"] > 1
    assert any(
        "powering off" in line and "stalled_stop" in line for line in (project.status() or {})["outlook"]
    )
