"""The tasks of the local EC2: `local.up`, `local.down`, `local.status`, `local.faults`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError

if TYPE_CHECKING:
    from ec2tasks.base.endpoint import Endpoint
    from ec2tasks.local.control import LocalStatus


def export_lines(endpoint: Endpoint) -> str:
    """Shell lines that let the AWS CLI and boto3 see what ec2tasks sees; both read these variables."""
    values = {
        "AWS_ENDPOINT_URL": endpoint.api_url,
        "AWS_ACCESS_KEY_ID": endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_key,
    }
    return "\n".join(f"export {name}={value}" for name, value in values.items())


def read_faults(texts: Sequence[str]) -> dict[str, Any]:
    """Read faults by name from `name: value` texts, in YAML. Raises UsageError for what is none."""
    import yaml

    values: dict[str, Any] = {}
    for text in texts:
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            content = None
        if not isinstance(content, dict):
            raise UsageError(f"`{text}` is no setting of a fault", hint="for example: --set 'latency_ms: 50'")
        values.update(content)
    return values


def status_rows(status: LocalStatus) -> list[list[str]]:
    """The instances as a table, its heading first."""
    rows = [["INSTANCE", "NAME", "STATE", "TYPE", "REGION", "SSH"]]
    for instance in status.instances:
        address = f"{instance.address}:{status.ssh_port}" if instance.address else ""
        rows.append([instance.id, instance.name, instance.state, instance.type, instance.region, address])
    return rows


@task(help={"port": "The port of the AWS API; by default one that is free"})
def up(_c: Context, port: int | None = None) -> None:
    """Start the local EC2 (unless it runs already).

    It prints the lines that let other programs see it: eval "$(ec2tasks local.up)", then for
    example aws ec2 describe-instances --region eu-central-1.
    """
    from ec2tasks.local import control

    output.document(export_lines(control.up(port=int(port) if port else None)))
    output.hint("ec2tasks local.status, local.down")


@task
def down(_c: Context) -> None:
    """End the local EC2, all its instances and their disks."""
    from ec2tasks.local import control

    output.step("the local EC2 has ended" if control.down() else "there was no local EC2 to end")


@task(help={"json": "As JSON"})
def status(_c: Context, json: bool = False) -> None:
    """Show the local EC2 and its instances.

    The lines that let other programs see it are on stdout, the instances on stderr; with --json
    all is on stdout.
    """
    from ec2tasks.local import control

    local_ec2 = control.status()
    if json:
        output.json(dataclasses.asdict(local_ec2) if local_ec2 else None)
    elif local_ec2 is None or (endpoint := control.running()) is None:
        output.step("no local EC2 runs")
        output.hint("ec2tasks local.up")
    else:
        output.document(export_lines(endpoint))
        count = len(local_ec2.instances)
        output.step(f"{local_ec2.url}, pid {local_ec2.pid}, {count} instances, in {local_ec2.folder}")
        if local_ec2.instances:
            output.table(status_rows(local_ec2), sys.stderr)


@task(
    iterable=["set"],
    help={"set": "A fault, as `name: value` (YAML); give it again for more", "clear": "End all faults"},
)
def faults(_c: Context, set: Sequence[str] | None = None, clear: bool = False) -> None:  # noqa: A002  # the option's name
    """Let things go wrong on the local EC2: show, set or clear its faults.

    --set 'capacity: [g5.xlarge]'   no capacity for that type (`g5.xlarge@eu-central-1a`: in that zone)
    --set 'throttle: 3'             the next calls get RequestLimitExceeded
    --set 'errors: {RunInstances: VcpuLimitExceeded}'
    --set 'boot_seconds: 5'         instances take longer to boot
    --set 'latency_ms: 50'          the network to the instances is slow
    --set 'cut: true'               ... or dead
    --set 'drop_ssh: true'          all SSH connections break, once
    --set 'spot_notice: all'        spot instances are announced their end ...
    --set 'spot_seconds: 5'         ... and end so much later
    --set 'disk_full_mb: 20'        instances that boot from now on have a home of 20 MB

    What is set replaces all that was set before.
    """
    from ec2tasks.local import control

    if clear or set:
        control.set_faults(None if clear else read_faults(set or ()))
    output.json(control.current_faults())


ns = Collection("local", up, down, status, faults)
