"""max_hours is known in advance: the results come before it, and why the instance ended is said."""

from __future__ import annotations

import pytest
from support.local_ec2 import until_state
from support.project import ScratchProject

COUNT = "for n in $(seq 200); do echo $n >>made; sleep 0.5; done"


@pytest.mark.parametrize("kind", [(), pytest.param(("--spot",), marks=pytest.mark.long)])
def test_what_was_made_until_then_is_here_and_its_end_is_named(
    kind: tuple[str, ...], local_project: ScratchProject
) -> None:
    project = local_project
    # Nothing is fetched meanwhile but for the announcement.
    project.write("ec2.yaml", "pull_every: never\n")
    said = project.ec2tasks("run", "--leave", "--max-hours", "20 s", *kind, COUNT)
    assert said.code == 125, said.err
    assert said.err.count("max_hours ends the instance at ") == 1
    assert project.read("made").startswith("1\n2\n")
    assert "ended by max_hours" in said.err
    assert "left running" not in said.err
    if kind:
        assert project.status() is None
        return
    assert "stopped, because max_hours ended it" in said.err
    until_state(project, "stopped")
    project.write("ec2.yaml", "max_hours: never\n")
    again = project.ec2tasks("finish", "--terminate")
    assert again.code == 125
    assert "was lost in a restart of the instance" in again.err
    assert len(project.read("made").split()) > 10
    assert project.status() is None
