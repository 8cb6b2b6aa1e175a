"""What would keep SSH from answering on an instance, told before it is launched: security group and route."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import explain
from ec2tasks.aws.reachability import NO_WAY_IN, lets_in, open_to_world, route_tables, way_out
from ec2tasks.aws.security_groups import own_group_name
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import in_background

PATIENCE = 1.0  # seconds that a launch waits for this once all else is known


def shut_out(group: Mapping[str, Any], networks: Sequence[str], port: int, region: str) -> Failure | None:
    """The failure that a security group lets none of these networks in at a port; None where it does."""
    if any(lets_in(group.get("IpPermissions", []), one, port) for one in networks):
        return None
    return Failure(
        f"security group `{group['GroupName']}` does not let {', '.join(networks)} in at port {port}:"
        " SSH can't answer",
        hint=f"`aws ec2 authorize-security-group-ingress --group-id {group['GroupId']} --protocol tcp"
        f" --port {port} --cidr {networks[0]} --region {region}`, or security_group: one that lets you in",
    )


def open_door(group: Mapping[str, Any], port: int, region: str) -> Failure | None:
    """The failure that a security group lets everybody in at a port; None where it does not."""
    if not open_to_world(group.get("IpPermissions", []), port):
        return None
    return Failure(
        f"security group `{group['GroupName']}` lets everybody on the internet in at port {port}",
        hint=f"`aws ec2 revoke-security-group-ingress --group-id {group['GroupId']} --protocol tcp"
        f" --port {port} --cidr 0.0.0.0/0 --region {region}`",
    )


def closed_subnets(ways: Mapping[str, str]) -> Failure | None:
    """The failure that no way leads from the internet into some of these subnets; None where one does.

    `ways` says where each sends what goes there: through a NAT gateway, or nowhere, nothing comes in.
    """
    closed = [f"{name} ({way or 'no route'})" for name, way in ways.items() if way in ("", "nat")]
    if not closed:
        return None
    return Failure(
        f"no way in from the internet: {', '.join(closed)}",
        hint=NO_WAY_IN,
    )


def foresee(
    aws: Aws,
    *,
    owner: str,
    vpc: str,
    subnets: Sequence[str],
    groups: Callable[[], Mapping[str, Any]],
    networks: Callable[[], Sequence[str]],
) -> Callable[[], None]:
    """Begin to look at the way into what is to be launched; the function returned warns of what is not well.

    The user's own security group is opened as it is needed. What can't be told, or not in time, is left open.
    """

    def look() -> list[Failure | None]:
        port, region = aws.endpoint.ssh_port, aws.region
        tables = in_background(lambda: route_tables(aws, vpc))
        group = next(iter(groups().values()), None)
        found = [open_door(group, port, region)] if group else []
        if group and group["GroupName"] != own_group_name(owner):
            with contextlib.suppress(UsageError):  # nothing tells from where SSH comes
                found.append(shut_out(group, networks(), port, region))
        ways = {name: way_out(tables(), name) for name in subnets}
        return [*found, closed_subnets(ways)]

    looked = in_background(look, patience=PATIENCE)

    def warn() -> None:
        try:
            failures = looked()
        except (TimeoutError, Failure):
            return
        except Exception as error:
            if explain(error) is None:
                raise
            return
        for failure in failures:
            if failure:
                output.warning(failure.what, hint=failure.hint)

    return warn
