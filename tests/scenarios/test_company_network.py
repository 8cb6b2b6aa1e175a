"""An instance without a public address, reached by an EC2 Instance Connect Endpoint: ssh, rsync, Fabric."""

from __future__ import annotations

import sys
from pathlib import Path

from support.local_ec2 import api, faults
from support.project import ScratchProject

from ec2tasks.aws.instances import list_instances

# `aws ec2-instance-connect open-tunnel`, as far as a ProxyCommand needs it.
STAND_IN = f"""#!{sys.executable}
import os, socket, sys, threading
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support.local_ec2 import api
words = sys.argv[1:]
assert words[:2] == ["ec2-instance-connect", "open-tunnel"], words
given = dict(zip(words[2::2], words[3::2], strict=True))
if os.path.exists({{closed!r}}):
    sys.exit("An error occurred (AccessDenied) when calling the DescribeInstanceConnectEndpoints operation")
answer = api(__import__("pathlib").Path(os.environ["EC2_LOCAL_DIR"])).ec2.describe_instances(
    InstanceIds=[given["--instance-id"]]
)
address = answer["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
there = socket.create_connection((address, int(given["--remote-port"])))
def up():
    while block := os.read(0, 65536):
        there.sendall(block)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while block := there.recv(65536):
    os.write(1, block)
"""
CONNECT = "from ec2tasks import connect\nwith connect() as there:\n    there.run('cat made')\n"


def by_endpoint(project: ScratchProject, folder: Path) -> Path:
    """Let the project be reached by an endpoint; it is closed while the file that this returns is there."""
    closed, aws = folder / "closed", folder / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(STAND_IN.format(closed=str(closed)))
    aws.chmod(0o755)
    project.environ["PATH"] = f"{aws.parent}:{project.environ['PATH']}"
    project.environ |= {"INVOKE_EC2_VIA": "eice", "INVOKE_EC2_SSH_FROM": "10.0.0.0/8"}
    return closed


def test_all_goes_through_the_endpoint_and_nothing_gets_a_public_address(
    local_project: ScratchProject, tmp_path: Path
) -> None:
    closed = by_endpoint(local_project, tmp_path)
    local_project.write("data", "17")
    run = local_project.ec2tasks("run", "--leave", "cat data; echo 4 >~/made; echo 4 >made")
    assert (run.code, run.out) == (0, "17"), run.err
    assert (local_project.root / "made").read_text() == "4\n"
    (instance,) = list_instances(
        api(Path(local_project.environ["EC2_LOCAL_DIR"])), owner=local_project.environ["USER"]
    )
    assert (instance.address, bool(instance.private_address)) == (None, True)
    fabric = local_project.call(sys.executable, "-c", CONNECT)
    assert fabric.out == "4\n", fabric.err
    closed.touch()
    faults(local_project, drop_ssh=True)
    refused = local_project.ec2tasks("run", "--leave", "true")
    assert refused.code == 125
    assert "via: eice leads nowhere" in refused.err
    assert "    An error occurred (AccessDenied)" in refused.err


def test_what_the_endpoint_needs_is_asked_for_before_anything_costs(local_project: ScratchProject) -> None:
    local_project.environ["INVOKE_EC2_VIA"] = "bastion"
    refused = local_project.ec2tasks("run", "true")
    assert refused.code == 2
    assert "via: bastion needs ssh_from" in refused.err
    assert "made security group" not in refused.err
