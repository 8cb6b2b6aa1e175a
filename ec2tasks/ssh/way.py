"""The way to an instance's SSH port: at its address, or through a program that ssh starts."""

from __future__ import annotations

import os

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import Failure
from ec2tasks.config.way import VIA_EICE, VIA_PRIVATE, VIA_PUBLIC
from ec2tasks.ssh.host import CONNECT_SECONDS

INSTALL_AWS = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"


def no_address(via: str, instance: Instance) -> Failure:
    """The failure that an instance has no address at which it could be reached this way."""
    if via != VIA_PUBLIC:
        return Failure(
            f"instance {instance.where} has no private address", hint="`ec2tasks up` waits until it has one"
        )
    return Failure(
        f"instance {instance.where} has no public address",
        hint=f"via: {VIA_PRIVATE} reaches it from its network or a VPN, via: {VIA_EICE} by an EC2 Instance"
        " Connect Endpoint, via: HOST by a jump host of ~/.ssh/config",
    )


def proxy_argv(via: str, instance_id: str, address: str, aws: Aws) -> tuple[str, ...]:
    """The program whose input and output are the connection to the SSH port; empty where ssh connects itself.

    The jump host's own options, user and host key are those of ~/.ssh/config, which only this ssh reads.
    https://docs.aws.amazon.com/cli/latest/reference/ec2-instance-connect/open-tunnel.html
    https://man.openbsd.org/ssh_config#ProxyCommand
    """
    endpoint = aws.endpoint
    if via in (VIA_PUBLIC, VIA_PRIVATE):
        return ()
    if via != VIA_EICE:
        patience = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}")
        return ("ssh", *patience, "-W", f"{address}:{endpoint.ssh_port}", via)
    tunnel = ("aws", "ec2-instance-connect", "open-tunnel", "--instance-id", instance_id)
    url = ("--endpoint-url", endpoint.api_url) if endpoint.api_url else ()
    # The AWS CLI reads no ec2.yaml; named to it, a profile would count before keys in the environment.
    by_key = endpoint.is_own or os.environ.get("AWS_ACCESS_KEY_ID")
    profile = () if by_key or not aws.login.name else ("--profile", aws.login.name)
    return (*tunnel, "--remote-port", str(endpoint.ssh_port), "--region", aws.region, *profile, *url)


def missing_aws_cli() -> Failure:
    """The failure that what opens an EC2 Instance Connect Endpoint's tunnels is not installed."""
    return Failure(
        f"via: {VIA_EICE} needs the AWS CLI, and `aws` is not installed on this machine",
        hint=f"version 2.12 or later: {INSTALL_AWS}",
    )
