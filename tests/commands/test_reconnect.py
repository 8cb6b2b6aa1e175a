"""A connection to a job that is lost is tried again for as long as its instance runs, and why is said."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support.values import INSTANCE, JOB, call_context, ssh_host

from ec2tasks.base.state import State
from ec2tasks.commands import reconnect
from ec2tasks.commands.reconnect import JobConnection
from ec2tasks.lifecycle import ssh_entries
from ec2tasks.lifecycle.acquire import Acquired
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.remote import job as job_module
from ec2tasks.remote.job import JobStatus
from ec2tasks.ssh.forwards import Forward

WRONG_KEY = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."


@pytest.mark.parametrize(("refusals", "said"), [(2, 0), (3, 1), (20, 1)])
def test_what_does_not_pass_by_itself_is_said_once(
    refusals: int, said: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([*([WRONG_KEY] * refusals), None])
    job, pauses = cast(JobStatus, SimpleNamespace(over=True)), list[float]()
    context = SimpleNamespace(tools=None)
    lease = SimpleNamespace(context=context, host=None, hold_host_key=lambda: None, rejoin=lambda: None)
    monkeypatch.setattr(reconnect, "open_master", lambda *_: next(answers))
    monkeypatch.setattr(reconnect, "forward_again", lambda *_: [])
    monkeypatch.setattr(job_module, "job_status", lambda *_: job)
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(JobConnection, "_look_at_aws", lambda *_, **__: None)
    connection = JobConnection(lease=cast(Lease, lease), job=JOB)
    assert connection.reconnect(met=True, begun=True) is job
    assert len(pauses) == refusals + 1
    words = capsys.readouterr().err
    assert words.count("ec2: no connection yet: Host key verification failed.\n") == said
    assert "IDENTIFICATION" not in words


def test_an_address_that_changed_is_kept_for_the_user_s_own_ssh_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(folder=tmp_path, sockets=tmp_path)
    ssh_entries.begin(state)
    context = call_context(state, name="shop", user="ubuntu")
    moved = replace(INSTANCE, id="i-1a", address="5.6.7.8")
    held = Lease(
        operation=Operation(context=context), acquired=Acquired(instance=moved, host=ssh_host(tmp_path))
    )
    refusals = iter(["connect: timed out", None])
    monkeypatch.setattr(Lease, "rejoin", lambda _self: None)
    monkeypatch.setattr(reconnect, "open_master", lambda *_: next(refusals))
    monkeypatch.setattr(job_module, "job_status", lambda *_: SimpleNamespace(over=True))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    connection = JobConnection(lease=held, job=JOB)
    monkeypatch.setattr(JobConnection, "_ask_aws", lambda self, _admitting: setattr(self, "answer", moved))
    connection.reconnect(met=True, begun=True)
    assert "HostName 5.6.7.8\n" in state.ssh_config.read_text()


@pytest.mark.parametrize(
    ("lost", "hint"),
    [
        (Forward(spec="9000:localhost:8888"), "`ec2tasks ports 8888` opens it on one that is free"),
        (Forward(spec="9000:db:5432"), "`ec2tasks ports 9000:db:5432` opens it once its port is free"),
        (Forward(option="-R", spec="9000:localhost:80"), "the next run's -R opens it"),
    ],
)
def test_a_port_that_did_not_come_back_is_said(
    lost: Forward, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reconnect.say_lost_port(lost)
    said = capsys.readouterr().err
    assert f"{lost.option} {lost.spec} did not come back" in said
    assert hint in said
