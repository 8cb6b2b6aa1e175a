"""The account's quotas of EC2: of vCPUs, one per region for each group of instance families."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ec2tasks.aws.explanations import console_of

STANDARD = "Standard (A, C, D, H, I, M, R, T, Z)"
# By the letters that a type begins with: the quota's name, its code on demand and at the spot price.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
QUOTAS = {
    **dict.fromkeys(("g", "gr", "vt"), ("G and VT", "L-DB2E81BA", "L-3819A6DF")),
    "p": ("P", "L-417A185B", "L-7212CCBC"),
    "f": ("F", "L-74FC7D96", "L-88CF9481"),
    "inf": ("Inf", "L-1945791B", "L-B5D1601B"),
    "x": ("X", "L-7295265B", "L-E3A00192"),
    **dict.fromkeys("acdhimrtz", (STANDARD, "L-1216C47A", "L-34B43A08")),
}
EXCEEDED = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded")


@dataclass(frozen=True)
class Quota:
    """A quota by the name that the Service Quotas console shows, and its code."""

    name: str
    code: str


def quota_of(instance_type: str, *, spot: bool) -> Quota | None:
    """The quota that an instance of this type counts against; None for rare families."""
    letters = re.match(r"[a-z]+", instance_type)
    if letters is None or letters[0] not in QUOTAS:
        return None
    family, on_demand, at_spot = QUOTAS[letters[0]]
    if spot:
        return Quota(f"All {family} Spot Instance Requests", at_spot)
    return Quota(f"Running On-Demand {family} instances", on_demand)


def raise_hint(instance_type: str, quota: Quota | None, region: str) -> str:
    """What to type to ask AWS for a higher quota."""
    if quota is None:
        console = f"{console_of(region)}/servicequotas"
        return f"ask for a higher quota of EC2: {console}; or take another --type"
    return (
        "ask for a higher quota: `aws service-quotas request-service-quota-increase --service-code ec2"
        f" --quota-code {quota.code} --desired-value 8 --region {region}`, or take a smaller type than"
        f" {instance_type}"
    )
