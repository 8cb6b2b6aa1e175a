"""Where SSH comes from on its way to an instance: the networks of the setting, or this machine's address."""

from __future__ import annotations

import ipaddress

from ec2tasks.aws.client import Aws
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC

SECONDS = 5  # for each service
ANSWER_LIMIT = 100  # bytes


def networks_here(aws: Aws, settings: Settings) -> tuple[str, ...]:
    """The networks that SSH comes from: those of the setting, else this machine's address.

    Raises UsageError where neither can be known, Failure where nobody tells the address.
    """
    if settings.ssh_from:
        return settings.ssh_from
    if settings.via != VIA_PUBLIC:
        raise UsageError(
            f"via: {settings.via} needs ssh_from: nothing else tells for whom to open your security group",
            hint="ssh_from: the network of the VPN, jump host or endpoint, such as 10.0.0.0/16 (`aws ec2"
            f" describe-vpcs --region {aws.region}` lists yours); or security_group: one that lets it in",
        )
    return (own_cidr(aws),)


def own_cidr(aws: Aws) -> str:
    """The public IP address of this machine, in the form of a rule: `203.0.113.7/32`.

    One service after the other is asked. Raises Failure where none tells it.
    """
    reasons = []
    for url in aws.endpoint.address_urls:
        try:
            return str(ipaddress.ip_network(aws.text_at(url, seconds=SECONDS, limit=ANSWER_LIMIT).strip()))
        except (OSError, ValueError) as error:
            reasons.append(f"{url}: {error}")
    raise Failure(
        f"nobody told this machine's address, {SECONDS} s each: {'; '.join(reasons)}",
        hint="ssh_from: 203.0.113.0/24 in ec2.yaml names your network; HTTPS_PROXY and AWS_CA_BUNDLE your"
        " company's proxy and certificates",
    )
