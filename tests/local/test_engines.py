"""Programs for several machines, as they are, on two instances of the local EC2: MPICH and Dask.

They are installed on the instances, which takes a minute: `make test-engines`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from support.local_ec2 import LocalEc2
from support.waiting import until

from local.test_between_instances import make_group

pytestmark = pytest.mark.long

INSTALL = "python3 -m venv v && v/bin/pip install --quiet mpich mpi4py distributed"
MPI = """
from mpi4py import MPI
import socket
world = MPI.COMM_WORLD
print(world.allreduce(world.rank), socket.gethostname(), flush=True)
"""
DASK = """
from distributed import Client
import socket
client = Client()
client.wait_for_workers(2, timeout=60)
print(sorted(client.run(socket.gethostname).values()), client.submit(sum, range(10)).result())
"""


def put(local_ec2: LocalEc2, instance_id: str, path: str, content: str) -> None:
    argv = local_ec2.ssh_argv(instance_id, f"umask 077; cat >{path}")
    subprocess.run(argv, input=content.encode(), check=True)


@pytest.fixture(scope="module")
def nodes(session_local_ec2: LocalEc2) -> Iterator[list[str]]:
    """Two instances with both engines, the first of which has a key to the second."""
    group = make_group(session_local_ec2)
    made = [session_local_ec2.launch(SecurityGroupIds=[group]) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(session_local_ec2.output, command=INSTALL), made))
    put(session_local_ec2, made[0], ".ssh/id_ed25519", session_local_ec2.key.read_text())
    put(session_local_ec2, made[0], ".ssh/config", "StrictHostKeyChecking accept-new\n")
    yield made
    session_local_ec2.ec2.terminate_instances(InstanceIds=made)


def details(local_ec2: LocalEc2, nodes: list[str]) -> tuple[list[str], list[str]]:
    """The nodes' private addresses and names."""
    told = [local_ec2.describe(node) for node in nodes]
    return [one["PrivateIpAddress"] for one in told], [one["PrivateDnsName"].split(".")[0] for one in told]


def test_mpich_runs_a_program_on_both(session_local_ec2: LocalEc2, nodes: list[str]) -> None:
    addresses, names = details(session_local_ec2, nodes)
    put(session_local_ec2, nodes[0], "hosts", "".join(f"{address}:2\n" for address in addresses))
    for node in nodes:
        put(session_local_ec2, node, "program.py", MPI)
    run = "HYDRA_HOST_FILE=hosts v/bin/mpiexec -n 4 v/bin/python program.py"
    said = session_local_ec2.output(nodes[0], run).split()
    assert sorted(said) == sorted(["6"] * 4 + names * 2)


def test_dask_has_a_worker_on_each(session_local_ec2: LocalEc2, nodes: list[str]) -> None:
    (address, _), names = details(session_local_ec2, nodes)
    quiet = ">/dev/null 2>&1 </dev/null &"
    session_local_ec2.output(nodes[0], f"setsid v/bin/dask scheduler --host {address} {quiet}")
    listening = f"bash -c 'exec 3<>/dev/tcp/{address}/8786'"
    until(lambda: session_local_ec2.ssh(nodes[1], listening).returncode == 0, "the scheduler")
    for node in nodes:
        session_local_ec2.output(node, f"setsid v/bin/dask worker tcp://{address}:8786 {quiet}")
    put(session_local_ec2, nodes[0], "program.py", DASK)
    run = f"DASK_SCHEDULER_ADDRESS=tcp://{address}:8786 v/bin/python program.py"
    assert session_local_ec2.output(nodes[0], run) == f"{sorted(names)} 45\n"
