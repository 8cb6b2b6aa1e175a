from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from support.values import INSTANCE

from ec2tasks.aws import instances
from ec2tasks.aws.instances import Instance
from ec2tasks.lifecycle.acquire import Acquired
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.remote.session import Session
from ec2tasks.ssh.host import Host

HOST = Host(
    instance_id="i-1",
    address="1.2.3.4",
    port=22,
    user="ubuntu",
    identities=(),
    only_these=False,
    known_hosts=Path("/nowhere/known_hosts"),
    sockets=Path("/nowhere"),
)


def lease(**acquired: Any) -> Lease:
    context = SimpleNamespace(settings=SimpleNamespace(remote_dir="shop"), aws=None, tools=None)
    known = {"instance": INSTANCE, "host": HOST, **acquired}
    operation = Operation(context=cast(CallContext, context))
    return Lease(operation=operation, acquired=Acquired(**known))


def test_what_was_launched_just_now_holds_nothing_until_a_job_begins() -> None:
    launched, with_job = lease(launched=True), lease(launched=True)
    with_job.job_begun = True
    used = [each.used for each in (launched, with_job, lease(launched=False), lease(started=True))]
    assert used == [False, True, True, True]


def test_of_many_threads_one_alone_finds_the_folder_empty() -> None:
    held = lease()
    held.nothing_there = True
    folders, gate = [], threading.Barrier(16)

    def take() -> None:
        gate.wait()
        folders.append(held.take_folder())

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [folder.empty for folder in folders].count(True) == 1
    assert not held.folder().empty


def test_a_folder_is_at_the_address_that_the_instance_moved_to() -> None:
    held = lease()
    held.move_to(replace(INSTANCE, address="5.6.7.8"), replace(HOST, address="5.6.7.8"))
    assert held.instance.address == held.host.address == "5.6.7.8"
    assert held.folder().login == held.host.login


@pytest.mark.parametrize(
    ("answer", "observed", "up"),
    [
        (replace(INSTANCE, state="running"), "running", True),
        (replace(INSTANCE, state="stopped"), "stopped", False),
        (replace(INSTANCE, state="terminated"), None, False),
        (None, None, False),
        (EndpointConnectionError(endpoint_url="https://nowhere"), INSTANCE.state, True),
    ],
)
def test_an_instance_that_aws_can_t_be_asked_about_is_taken_to_be_as_it_was(
    answer: Instance | Exception | None,
    observed: str | None,
    up: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def describe(_aws: object, _id: str) -> Instance | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(instances, "describe_instance", describe)
    instance = lease().observe()
    assert (instance.state if instance else None) == observed
    assert lease().is_up() == up


def test_without_a_session_nobody_can_be_asked_on_leaving() -> None:
    assert lease().leave(Outcome()) is None


def test_an_answer_of_another_version_is_said_and_counts_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    def leave(*, fetched: bool) -> None:
        raise ProtocolError("the instance does not say `last`", hint="`pip install --upgrade ec2tasks`")

    held = lease()
    held.session = cast(Session, SimpleNamespace(leave=leave))
    assert held.leave(Outcome()) is None
    assert "does not say `last`" in capsys.readouterr().err
