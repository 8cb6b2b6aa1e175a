"""A plan refuses what the run would, as far as that costs nothing; a mistake launches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import ScratchProject


@pytest.mark.parametrize("dry", [["--dry"], []])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "g4dn.xlrage"], "did you mean `g4dn.xlarge`?"),
        (["--spot", "--stop"], "can't be stopped"),
        (["--region", "us-east-9"], "us-east-1"),
    ],
)
def test_a_mistake_is_refused_with_and_without_dry(
    words: list[str], said: str, dry: list[str], project: ScratchProject
) -> None:
    project.environ["EC2_LOCAL_DIR"] = str(project.root / "never-made")
    found = project.ec2tasks("run", *words, *dry, "true")
    assert found.code == 2, found.err
    assert said in found.err
    assert "launching" not in found.err


def test_a_whole_home_is_no_project_in_a_plan_either(project: ScratchProject) -> None:
    home = Path(project.environ["HOME"])
    for task in (["run", "--dry", "true"], ["sync", "--dry"]):
        said = project.call("ec2tasks", *task, cwd=home)
        assert said.code == 2
        assert "your whole home" in said.err
    assert project.call("ec2tasks", "run", "--no-rsync", "--dry", "true", cwd=home).code == 0


@pytest.mark.slow
def test_a_plan_knows_the_types_that_boto3_knows(project: ScratchProject) -> None:
    said = project.ec2tasks("run", "--dry", "--type", "g4dm.xlarge", "true")
    assert said.code == 0  # there may be newer ones
    assert "did you mean `g4dn.xlarge`" in said.err
    assert "boto3" not in project.ec2tasks("run", "--dry", "--type", "g4dn.xlarge", "true").err


def test_launching_is_said_just_before_it(local_project: ScratchProject) -> None:
    for words in (["run", "--image", "ami-nowhere", "true"], ["attach"]):
        said = local_project.ec2tasks(*words)
        assert said.code != 0
        assert "launching" not in said.err
    said = local_project.ec2tasks("run", "--type", "g4dm.xlarge", "true")
    assert "--type g4dn" in said.err


@pytest.mark.parametrize(
    ("ignored", "hint"),
    [
        (None, "`.env` in .rsyncignore keeps it here; `ec2tasks init` writes that file"),
        ("data/\n", "`.env` in .rsyncignore keeps it here"),
        ("/.e*\n", None),
    ],
)
def test_aws_keys_that_would_travel_are_said(
    ignored: str | None, hint: str | None, project: ScratchProject
) -> None:
    project.write(".env", "AWS_SECRET_ACCESS_KEY=hush\nAWS_ACCESS_KEY_ID=\nOTHER=x\n")
    if ignored:
        project.write(".rsyncignore", ignored)
    said = project.ec2tasks("sync", "--dry")
    assert said.code == 0, said.err
    assert "hush" not in said.err
    if hint:
        assert said.err.count("holds AWS keys (AWS_SECRET_ACCESS_KEY)") == 1
        assert said.err.rstrip().endswith(hint)
    else:
        assert said.err == ""
