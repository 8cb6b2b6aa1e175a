"""An earlier version's guard, which stays on its instance, beside this version's scripts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.guard import Guard
from support.instance_scripts import instance_script_argv
from support.values import JOB
from support.waiting import until

from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.remote.job import job_files
from ec2tasks.remote.protocol import message_line

DATA = Path(__file__).parent / "data"


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    instance_script_argv("session.sh")  # skips where it can't run
    watching = Guard(tmp_path, (DATA / "guard-0.1.0.sh").read_text())
    yield watching
    (watching.home / "over").touch()  # a job that a failure left waits for it
    watching.kill()


def environ(guard: Guard) -> dict[str, str]:
    return {"HOME": str(guard.home), "PATH": "/usr/bin:/bin", "TERM": "dumb"}


IN_USE = "a session or a command of ec2tasks is on it"


def test_an_earlier_guard_sees_this_version_s_session_limits_and_job(guard: Guard) -> None:
    guard.says("idle_stop", "1800")
    limits = {"idle_stop": "7000", "max_seconds": "9000", "start": "s2"}
    argv = instance_script_argv("session.sh", job="r", folder="shop", **limits)
    session = subprocess.Popen(argv, env=environ(guard), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert session.stdin
    assert session.stdout
    job = replace(
        JOB, command="until [ -e ~/over ]; do sleep 0.1; done", environment=EnvironmentRequest(wanted="none")
    )
    for name, text in job_files(job).items():
        session.stdin.write(message_line("file", name=name, body=text))
    session.stdin.write(b"start\n")
    session.stdin.flush()
    assert session.stdout.readline().startswith(b"joined ")
    guard.says("reason", IN_USE)
    guard.says("idle_stop", "7000")
    guard.says("max_seconds", "9000")
    assert sorted((guard.home / ".ec2tasks" / "limits").read_text().splitlines()) == [
        "idle_stop 7000",
        "max_seconds 9000",
        "reset s2",
    ]
    subprocess.run(
        instance_script_argv("follow.sh", "begin", job="r"), env=environ(guard), check=True, timeout=60
    )
    session.communicate(b"leave\n", timeout=90)
    # The job alone keeps the instance.
    guard.says("reason", IN_USE)
    first = guard.state()["last_active"]
    until(lambda: guard.state()["last_active"] != first, "still in use")
    (guard.home / "over").touch()
    until(lambda: guard.state()["reason"] != IN_USE, "nobody on it")
