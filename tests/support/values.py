"""Values to start from."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import Instance
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import Tools
from ec2tasks.base.project import Project
from ec2tasks.base.state import State
from ec2tasks.config.settings import Settings, read_settings
from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.remote.job import Job, JobStatus
from ec2tasks.ssh.host import Host

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
INSTANCE = Instance(
    id="i-1",
    name="kim-shop",
    state="running",
    type="g5.xlarge",
    zone="eu-central-1a",
    address="1.2.3.4",
    user="ubuntu",
    owner="kim",
    project="p1",
    launched=NOON - timedelta(hours=2),
    spot=False,
    price=1.26,
    group_ids=("sg-1",),
    reason="",
    fetched=False,
)
AWS_NOWHERE = Aws(endpoint=AWS, region="eu-central-1")
PROJECT = Project(root=Path("/nowhere/shop"), below=Path())
JOB = Job(
    job_id="r",
    command="make train",
    remote_dir="shop",
    below=".",
    environment=EnvironmentRequest(wanted="auto"),
    variables={"TOKEN": "it's $5"},
    ports=("8888:localhost:8888",),
    reverse_ports=(),
)


def ssh_host(folder: Path, **changed: Any) -> Host:
    """A host that nobody has, whose keys and sockets are in this folder."""
    host = Host(
        instance_id="i-0123456789abcdef0",
        address="127.0.0.1",
        port=2222,
        user="ubuntu",
        identities=(folder / "my key.pem",),
        only_these=True,
        known_hosts=folder / "known_hosts",
        sockets=folder,
    )
    return replace(host, **changed)


def every_field(kind: type) -> dict[str, Any]:
    """What makes `st.builds` draw all fields: it leaves those with a default at it."""
    return {one.name: ... for one in fields(kind)}


def client_error(code: str, message: str = "said AWS", operation: str = "RunInstances") -> ClientError:
    """An answer of AWS that is an error."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def settings(**options: object) -> Settings:
    return read_settings(PROJECT, options=options, environ={"HOME": "/nowhere", "USER": "kim"})


def call_context(state: State, **options: object) -> CallContext:
    """A call with these options, of a user who is nowhere."""
    asked = settings(**options)
    aws = Aws(endpoint=AWS, region=asked.region)
    return CallContext(
        settings=asked, project=PROJECT, aws=aws, state=state, tools=Tools(), home=Path("/nowhere")
    )


def job_status(job_id: str, *, started: int = 0) -> JobStatus:
    """`make serve`, which runs in tmux."""
    return JobStatus(
        job_id=job_id,
        multi="tmux",
        final_state=FinalState.LEAVE,
        code=None,
        lost=False,
        restarted=False,
        terminal=False,
        fed=False,
        started=started,
        ended=None,
        kept=(0, 0),
        command="make serve",
    )
