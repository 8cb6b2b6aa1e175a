"""The section of AGENTS.md: what it tells an agent to type exists, and what stood there stays."""

from __future__ import annotations

import re

import pytest
from support.project import ScratchProject

from ec2tasks.cli.scaffold import agents_text
from ec2tasks.cli.tasks import ec2
from ec2tasks.cli.typed_words import flags

CALLS = re.findall(r"`(?:EC2_LOCAL=1 )?ec2tasks ([a-z.]+)([^`]*)`", agents_text())


@pytest.mark.parametrize(("task", "rest"), CALLS, ids=[" ".join(call) for call in CALLS])
def test_what_it_says_to_type_is_a_task_with_these_options(task: str, rest: str) -> None:
    known = flags(ec2[task].get_arguments())
    assert set(re.findall(r"--[a-z-]+", rest)) <= set(known)


def test_it_goes_behind_what_stands_there_and_only_once(project: ScratchProject) -> None:
    assert project.ec2tasks("init").code == 0
    assert not (project.root / "AGENTS.md").exists()
    said = project.ec2tasks("init", "--agents")
    assert "wrote AGENTS.md" in said.err
    assert project.read("AGENTS.md") == agents_text()
    project.write("AGENTS.md", "# Ours\n\nBe brief.")
    said = project.ec2tasks("init", "--agents")
    assert "added a section on ec2tasks to AGENTS.md" in said.err
    assert project.read("AGENTS.md") == f"# Ours\n\nBe brief.\n\n{agents_text()}"
    assert "it has a section on ec2tasks" in project.ec2tasks("init", "--agents").err
    assert project.read("AGENTS.md").count("## Running things on EC2") == 1


def test_a_link_in_its_place_is_left_alone(project: ScratchProject) -> None:
    elsewhere = project.root.parent / "elsewhere.md"
    elsewhere.write_text("theirs\n")
    (project.root / "AGENTS.md").symlink_to(elsewhere)
    assert "kept AGENTS.md as it is: it is a link" in project.ec2tasks("init", "--agents").err
    assert elsewhere.read_text() == "theirs\n"
