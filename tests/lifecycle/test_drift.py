from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.values import INSTANCE

from ec2tasks.base.project import Project
from ec2tasks.config.settings import read_settings
from ec2tasks.lifecycle.drift import drift_of

THERE = replace(INSTANCE, name="kim-shop", type="g4dn.xlarge", spot=False, image="ami-1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, None),  # the defaults ask for nothing
        ({"instance_type": "g4dn.xlarge"}, None),
        ({"instance_type": ["g5.xlarge", "g4dn.xlarge"]}, None),  # any of them will do
        ({"instance_type": "g5.xlarge"}, "a g4dn.xlarge, not a g5.xlarge"),
        ({"instance_type": "g5.xlarge", "spot": True}, "a g4dn.xlarge on demand, not a g5.xlarge spot"),
        ({"spot": True}, "on demand, not spot"),
        ({"spot": True, "spot_fallback": True}, None),
        ({"image": "base"}, None),  # which image a name means, AWS does not tell with the instance
        ({"image": "ami-1"}, None),
        ({"image": "ami-2"}, "from ami-1, not from ami-2"),
    ],
)
def test_what_was_asked_for_and_is_not_there(options: dict[str, object], said: str | None) -> None:
    project = Project(root=Path("/nowhere/shop"), below=Path())
    settings = read_settings(project, options=options, environ={"HOME": "/nowhere", "USER": "kim"})
    assert drift_of(THERE, settings) == (said and f"kim-shop is {said} as asked")


def test_an_instance_of_another_type_is_said_once_in_plan_and_run(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "true").code == 0  # a plan knows only of an instance that it is connected to
    plan = warm.ec2tasks("run", "--type", "g5.xlarge", "--dry", "true")
    run = warm.ec2tasks("run", "--type", "g5.xlarge", "true")
    for said in (plan, run):
        assert said.code == 0, said.err
        assert said.err.count("is a g4dn.xlarge, not a g5.xlarge as asked") == 1
    assert "as asked" not in warm.ec2tasks("run", "true").err
