"""What a hint tells to type is about the instance that this call is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.project import ScratchProject

from ec2tasks.base import hints, output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import in_background
from ec2tasks.base.project import Project
from ec2tasks.cli.connection import connect
from ec2tasks.cli.context import told_once
from ec2tasks.cli.tasks import ec2
from ec2tasks.config.settings import read_settings


@pytest.fixture(autouse=True)
def _own_scope() -> Iterator[None]:
    with hints.scope():
        yield


TOLD = {"region": "us-east-1", "endpoint": "local", "name": "a b", "remote_dir": "x", "key_name": "nina"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "`ec2tasks down` ends it",
            "`AWS_KEY_NAME=nina ec2tasks down --region us-east-1 --local --name 'a b' --remote-dir x`"
            " ends it",
        ),
        (
            "`ec2tasks ls --region eu-west-1`, `ec2tasks status`",
            "`AWS_KEY_NAME=nina ec2tasks ls --local --region eu-west-1`,"
            " `AWS_KEY_NAME=nina ec2tasks status --region us-east-1 --local --name 'a b'`",
        ),
        ("`ec2tasks init`, `ec2tasks local.up`, `ec2tasks TASK --help`", None),
        ("`aws ec2 describe-subnets`, --name x", None),
    ],
)
def test_a_hint_repeats_what_names_the_instance(text: str, told: str | None) -> None:
    assert hints.complete(text) == text
    hints.name_instance(TOLD)
    assert hints.complete(text) == (told or text)


def test_the_aws_cli_is_told_the_profile_too() -> None:
    """It reads no ec2.yaml: without it, it would show another account's subnets."""
    hints.name_instance({hints.CLI_PROFILE: "my work", "profile": "my work"})
    shown = hints.complete(
        "`aws ec2 describe-subnets`, `aws sso login --profile x`, `aws configure`, `ec2tasks ls`"
    )
    assert shown == (
        "`aws ec2 describe-subnets --profile 'my work'`, `aws sso login --profile x`, `aws configure`,"
        " `AWS_PROFILE='my work' ec2tasks ls`"
    )


def test_failures_warnings_and_hints_all_do(capsys: pytest.CaptureFixture[str]) -> None:
    hints.name_instance({"region": "us-east-1"})
    hint = "`ec2tasks down` ends it"
    output.warning("late", hint=hint)
    output.hint(hint)
    shown = f"{capsys.readouterr().err}{Failure('late', hint=hint).message}"
    assert shown.count("`ec2tasks down --region us-east-1` ends it") == 3


def test_an_error_names_the_instance_of_the_scope_it_was_raised_in() -> None:
    hint = "`ec2tasks down` ends it"
    with hints.scope():
        hints.name_instance({"region": "us-east-1"})
        first = Failure("late", hint=hint)
    with hints.scope():
        hints.name_instance({"region": "us-west-2"})
        second = Failure("late", hint=hint)
        assert "down --region us-east-1`" in str(first.message)
    assert "down --region us-west-2`" in str(second.message)
    assert hints.complete(hint) == hint
    assert hints.complete(hint, first.reference) == "`ec2tasks down --region us-east-1` ends it"


def test_a_thread_names_the_instance_of_its_caller() -> None:
    hints.name_instance({"region": "us-east-1"})
    answer = in_background(lambda: hints.complete("`ec2tasks down`"))
    assert answer() == "`ec2tasks down --region us-east-1`"


def test_two_connections_of_one_process_name_each_its_own_instance(
    local_project: ScratchProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(local_project.root)
    failures = {}
    for region in ("us-east-1", "us-west-2"):
        with pytest.raises(Failure) as failure, connect(region=region):
            pass
        failures[region] = str(failure.value.message)
    with pytest.raises(Failure) as failure, connect():
        pass
    assert "`ec2tasks up` launches it" in str(failure.value.message)
    assert "`ec2tasks up --region us-east-1` launches it" in failures["us-east-1"]
    assert "`ec2tasks up --region us-west-2` launches it" in failures["us-west-2"]


def test_each_task_takes_what_its_hint_repeats() -> None:
    for name, options in hints.TAKEN.items():
        arguments = ec2[name].get_arguments()
        known = {f"{'-' if len(one) == 1 else '--'}{one}" for found in arguments for one in found.names}
        assert set(options.values()) <= known


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        ({}, {}, {}),
        ({"region": "us-east-1", "endpoint": "local"}, {}, {"region": "us-east-1", "endpoint": "local"}),
        ({}, {"AWS_REGION": "us-east-1", "AWS_KEY_NAME": "nina"}, {}),
        ({}, {"AWS_REGION": "us-east-1", "AWS_KEY_NAME": "nina", "MAKELEVEL": "1"}, {"region": "us-east-1"}),
        ({}, {"AWS_KEY_NAME": "nina", "MAKEFLAGS": " -- AWS_KEY_NAME=nina"}, {"key_name": "nina"}),
    ],
)
def test_what_a_plain_call_would_know_is_not_repeated(
    options: dict[str, str], environ: dict[str, str], told: dict[str, str]
) -> None:
    project = Project(root=Path("/nowhere/shop"), below=Path())
    whole = {"HOME": "/nowhere", "USER": "kim", **environ}
    assert told_once(read_settings(project, options=options, environ=whole), whole) == told


def test_a_recipe_s_own_region_is_repeated(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: eu-west-1\nrecipes: {train: {region: us-east-1}}\n")
    here = Project(root=project.root, below=Path())
    found = read_settings(here, options={}, targets=["train"], environ={"HOME": "/nowhere", "USER": "kim"})
    assert told_once(found, {}) == {"region": "us-east-1"}


def test_a_run_elsewhere_ends_with_a_hint_that_ends_it(local_project: ScratchProject) -> None:
    said = local_project.ec2tasks("down", "--region", "us-east-1", "--dry")
    assert said.code == 0
    said = local_project.ec2tasks("attach", "--region", "us-east-1", "--name", "other")
    assert "`ec2tasks up --region us-east-1 --name other` launches it" in said.err
