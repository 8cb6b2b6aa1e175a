from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.values import INSTANCE

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import Project
from ec2tasks.config.settings import Settings, read_settings
from ec2tasks.lifecycle.drift import drift_of, is_another_type, settle_drift, type_refusal

THERE = replace(INSTANCE, name="kim-shop", type="g4dn.xlarge", spot=False, image="ami-1")


def settings_of(
    options: dict[str, object], environ: dict[str, str], root: Path = Path("/nowhere/shop")
) -> Settings:
    project = Project(root=root, below=Path())
    return read_settings(project, options=options, environ={"HOME": "/nowhere", "USER": "kim", **environ})


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
    assert drift_of(THERE, settings_of(options, {})) == (said and f"kim-shop is {said} as asked")


@pytest.mark.parametrize(
    ("options", "environ", "another"),
    [
        ({}, {}, False),
        ({"instance_type": "g5.xlarge"}, {}, True),
        ({"instance_type": ["g5.xlarge", "g4dn.xlarge"]}, {}, False),
        ({}, {"AWS_INSTANCE_TYPE": "g5.xlarge"}, True),
        ({}, {"AWS_INSTANCE_TYPE": "g4dn.xlarge"}, False),
        ({"spot": True}, {}, False),
    ],
)
def test_which_type_a_call_names_itself(
    options: dict[str, object], environ: dict[str, str], another: bool
) -> None:
    assert is_another_type(THERE, settings_of(options, environ)) is another


def test_what_ec2_yaml_says_of_the_type_is_only_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ec2.yaml").write_text("instance_type: g5.xlarge\n")
    settle_drift(THERE, settings_of({}, {}, tmp_path), reuse=False, ask=lambda _: pytest.fail("asked"))
    assert "a g4dn.xlarge, not a g5.xlarge as asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "reuse", "goes_on"),
    [(True, False, True), (False, False, False), (None, False, False), (None, True, True)],
)
def test_another_type_than_the_call_names_takes_a_yes(
    answer: bool | None, reuse: bool, goes_on: bool
) -> None:
    settings = settings_of({"instance_type": "g5.xlarge"}, {})
    with nullcontext() if goes_on else pytest.raises(UsageError, match="asks for a g5"):
        settle_drift(THERE, settings, reuse=reuse, ask=lambda _question: answer, environ={})


@pytest.mark.parametrize(
    ("in_make", "words"),
    [
        (False, ["`--reuse`", "`--name shop-g5.xlarge`"]),
        (True, ["`EC2_FLAGS=--reuse`", "`EC2_FLAGS='--name shop-g5.xlarge'`"]),
    ],
)
def test_both_ways_on_can_be_typed(in_make: bool, words: list[str]) -> None:
    settings = settings_of({"instance_type": "g5.xlarge", "name": "shop"}, {})
    hint = type_refusal(THERE, settings, in_make=in_make).hint or ""
    assert all(word in hint for word in words), hint


def test_an_instance_of_another_type_is_used_only_where_that_is_asked_for(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "true").code == 0  # a plan knows only of an instance that it is connected to
    for more in (("--dry",), ()):
        refused = warm.ec2tasks("run", "--type", "g5.xlarge", *more, "true")
        assert refused.code == 2, refused.err
        assert "this call asks for a g5.xlarge" in refused.err
        assert "left running" not in refused.err  # nobody got on it
    used = warm.ec2tasks("run", "--type", "g5.xlarge", "--reuse", "true")
    assert used.code == 0, used.err
    assert used.err.count("is a g4dn.xlarge, not a g5.xlarge as asked") == 1
    assert "as asked" not in warm.ec2tasks("run", "true").err
