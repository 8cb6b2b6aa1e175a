"""What is said of commands that were left on the instance."""

from __future__ import annotations

import pytest

from ec2tasks.commands.left_behind import tell_left_behind
from ec2tasks.remote.job_name import Named, forms
from ec2tasks.remote.session import RunningJob


def running(job_id: str, title: str, *, seen: bool = False) -> RunningJob:
    return RunningJob(name=Named(job_id=job_id, title=title, running=True), seen=seen)


SERVE = running("20261129-091203-1f4abcd", "make serve")
TRAIN = running("20261129-091240-1f4abcd", "make train", seen=True)


def test_nothing_is_said_of_what_another_client_is_with(capsys: pytest.CaptureFixture[str]) -> None:
    tell_left_behind([])
    tell_left_behind([TRAIN])
    assert capsys.readouterr().err == ""


def test_one_that_was_left_is_named_with_what_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell_left_behind([SERVE])
    short = forms(SERVE.name.job_id)[0]
    said = capsys.readouterr().err
    assert f"`make serve` of 2026-11-29 {short[:2]}:{short[2:]} still runs" in said
    assert f"`ec2tasks cancel {short}` ends it" in said


def test_what_is_to_be_typed_means_no_other_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    tell_left_behind([TRAIN, SERVE])
    assert f"`ec2tasks cancel {forms(SERVE.name.job_id)[1]}` ends it" in capsys.readouterr().err


def test_of_many_some_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    tell_left_behind([SERVE] * 5)
    said = capsys.readouterr().err
    assert said.count("still runs") == 3
    assert "and 2 more: `ec2tasks jobs` lists them" in said
