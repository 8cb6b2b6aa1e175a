from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.repository import REPO
from support.values import INSTANCE

from ec2tasks.base.errors import Failure
from ec2tasks.base.state import State
from ec2tasks.lifecycle import first_boot
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.remote.cloud_init import BootStatus


def lease(state: State, *, up: bool = True, user_data: str | None = "#!/bin/sh") -> Lease:
    settings = SimpleNamespace(user_data=user_data)
    context = SimpleNamespace(settings=settings, state=state, key="shop", tools=None)
    tried = SimpleNamespace(context=context, instance=INSTANCE, host=None)
    tried.is_up, tried.hold_host_key = lambda: up, lambda: None
    return cast(Lease, tried)


def answers(monkeypatch: pytest.MonkeyPatch, statuses: Iterator[BootStatus | None]) -> Any:
    monkeypatch.setattr(first_boot, "boot_status", lambda *_: next(statuses))
    monkeypatch.setattr(first_boot, "open_master", lambda *_: "broken")
    slept: list[float] = []
    return {"sleep": slept.append, "clock": lambda: sum(slept)}


def test_the_limit_is_the_guards() -> None:
    guard = (REPO / "ec2tasks" / "remote" / "guard.sh").read_text()
    assert f"boot_limit={first_boot.BOOT_LIMIT}\n" in guard


@pytest.mark.parametrize("silent", [True, False])
def test_it_waits_no_longer_than_the_guard_does(
    silent: bool, state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = None if silent else BootStatus(running=True, seconds=1)
    first_boot.wait_for_user_data(lease(state), **answers(monkeypatch, itertools.repeat(status)))
    said = capsys.readouterr().err
    assert "waiting for user_data to end on the instance: 0 s\n" in said
    assert "within 15 minutes" in said
    assert "instance: 890 s\n" in said
    assert first_boot.has_first_boot(lease(state))


def test_the_guards_time_counts_from_the_boot(
    state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = iter([BootStatus(running=True, seconds=899), BootStatus(running=True, seconds=900)])
    first_boot.wait_for_user_data(lease(state), **answers(monkeypatch, statuses))
    assert "within 15 minutes" in capsys.readouterr().err


def test_what_has_ended_is_not_asked_about_again(
    state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not first_boot.has_first_boot(lease(state, user_data=None))
    assert first_boot.has_first_boot(lease(state))
    statuses = iter([BootStatus(running=False, seconds=30)])
    first_boot.wait_for_user_data(lease(state), **answers(monkeypatch, statuses))
    assert capsys.readouterr().err == ""
    assert not first_boot.has_first_boot(lease(state))


def test_an_instance_that_is_gone_is_not_waited_for(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="ended before its user_data did"):
        first_boot.wait_for_user_data(lease(state, up=False), **answers(monkeypatch, itertools.repeat(None)))
