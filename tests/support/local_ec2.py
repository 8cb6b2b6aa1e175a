"""The local EC2 as its users see it: clients, faults, an SSH that uses nothing of the user's."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import list_instances
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.local import control
from ec2tasks.local.layout import Layout
from support.environment import clean_environment
from support.project import ScratchProject
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import InstanceTypeDef

REGION = "eu-central-1"
KEY_NAME = "tests"
PYTORCH = "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.12-ubuntu-24.04/latest/ami-id"


@contextmanager
def local_ec2_folder() -> Iterator[Path]:
    """A folder for a local EC2, short and open to the instances' user; what was started in it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="ec2t-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        environ = {**clean_environment(folder), "EC2_LOCAL_DIR": str(folder)}
        argv = [sys.executable, "-m", "ec2tasks", "local.down"]
        subprocess.run(argv, env=environ, check=True, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def start_local_ec2(folder: Path) -> Endpoint:
    """Start a local EC2 in this folder, if none runs there yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        return control.up()


def tell_moto(endpoint: Endpoint, path: str, body: bytes = b"") -> None:
    """Ask moto, which is behind the API, for what AWS does not offer: a reset, or IAM to be enforced."""
    connection = http.client.HTTPConnection(urlsplit(str(endpoint.api_url)).netloc, timeout=PATIENCE)
    headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {endpoint.secret_key}"}
    connection.request("POST", path, body, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["status"] == "ok", answer


def api(folder: Path) -> Aws:
    """The API of the running local EC2 with this folder."""
    server = json.loads(Layout(root=folder).server_file.read_text(encoding="utf-8"))
    return Aws(endpoint=control.endpoint(server), region="eu-central-1")


def until_state(project: ScratchProject, state: str) -> None:
    """Wait until all instances of this user are in this state."""
    aws, user = api(Path(project.environ["EC2_LOCAL_DIR"])), project.environ["USER"]
    until(lambda: {one.state for one in list_instances(aws, owner=user)} == {state}, state)


def instance_home(project: ScratchProject) -> Path:
    """The home of the login user of a project's instance, as it lies on this machine."""
    status = project.status()
    assert status
    return Path(Layout(root=Path(project.environ["EC2_LOCAL_DIR"])).instances, status["id"], "home")


def faults(place: ScratchProject | Path, **asked: object) -> None:
    """Let these things go wrong on a running local EC2 from now on; nothing ends all of them."""
    folder = Path(place.environ["EC2_LOCAL_DIR"]) if isinstance(place, ScratchProject) else place
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        control.set_faults(asked)


@dataclass(frozen=True, kw_only=True)
class LocalEc2:
    """A running local EC2, as its users see it."""

    endpoint: Endpoint
    key: Path
    root: Path

    def client(self, service: str, region: str = REGION, **options: Any) -> Any:
        """A client without retries, so that each fault is seen once."""
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self.endpoint.api_url,
            aws_access_key_id=self.endpoint.access_key,
            aws_secret_access_key=self.endpoint.secret_key,
            config=config,
            **options,
        )

    @property
    def ec2(self) -> EC2Client:
        client: EC2Client = self.client("ec2")
        return client

    def image(self, region: str = REGION) -> str:
        parameter = self.client("ssm", region).get_parameter(Name=PYTORCH)
        return str(parameter["Parameter"]["Value"])

    def describe(self, instance_id: str) -> InstanceTypeDef:
        reservations = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return reservations[0]["Instances"][0]

    def state(self, instance_id: str) -> str:
        return self.describe(instance_id)["State"]["Name"]

    def wait_for(self, instance_id: str, state: str) -> InstanceTypeDef:
        until(lambda: self.state(instance_id) == state, f"{instance_id} to be {state}")
        return self.describe(instance_id)

    def run(self, **options: Any) -> str:
        """A launched instance, not yet running."""
        asked: dict[str, Any] = {"ImageId": self.image(), "InstanceType": "g4dn.xlarge", "KeyName": KEY_NAME}
        launched = self.ec2.run_instances(**{**asked, "MinCount": 1, "MaxCount": 1, **options})
        return launched["Instances"][0]["InstanceId"]

    def launch(self, **options: Any) -> str:
        """A running instance."""
        instance_id = self.run(**options)
        self.wait_for(instance_id, "running")
        return instance_id

    def ssh_argv(self, instance_id: str, *command: str, login: str = "ubuntu") -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "60",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        told = self.describe(instance_id)
        address = told.get("PublicIpAddress") or told["PrivateIpAddress"]
        where = ["-p", str(self.endpoint.ssh_port), f"{login}@{address}"]
        return ["ssh", "-F", "none", "-i", str(self.key), *flags, *where, *command]

    def ssh(self, instance_id: str, command: str, login: str = "ubuntu") -> subprocess.CompletedProcess[str]:
        argv = self.ssh_argv(instance_id, command, login=login)
        return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def output(self, instance_id: str, command: str, login: str = "ubuntu") -> str:
        """What the command printed, which must have succeeded."""
        result = self.ssh(instance_id, command, login)
        assert result.returncode == 0, (result.returncode, result.stdout, result.stderr)
        return result.stdout
