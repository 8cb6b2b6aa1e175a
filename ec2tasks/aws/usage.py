"""What the account's quotas of EC2 are, and how much of each is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code
from ec2tasks.aws.instance_types import TypeFacts, type_facts
from ec2tasks.aws.instances import UP
from ec2tasks.aws.quotas import Quota, quota_of
from ec2tasks.base.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A quota of vCPUs: how many there may be, None where AWS does not tell, and how many run."""

    quota: Quota
    limit: float | None
    used: int

    def has_room_for(self, vcpus: int) -> bool:
        """Whether so many more fit; true where nobody tells."""
        return self.limit is None or self.used + vcpus <= self.limit


def quota_usage(aws: Aws, types: Sequence[str], *, spot: bool) -> dict[str, Usage]:
    """The usage of the quota that each of these types counts against; without types of rare families.

    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    wanted = {name: quota for name in types if (quota := quota_of(name, spot=spot))}
    running = _running(aws)
    facts = type_facts(aws, sorted({name for name, _ in running})) if running else {}
    used = vcpus_in_use(running, facts)
    limits = {quota.code: _limit(aws, quota.code) for quota in wanted.values()}
    return {
        name: Usage(quota=quota, limit=limits[quota.code], used=used.get(quota.code, 0))
        for name, quota in wanted.items()
    }


def vcpus_in_use(running: Sequence[tuple[str, bool]], facts: Mapping[str, TypeFacts]) -> dict[str, int]:
    """How many vCPUs of each quota, by its code, the running instances use: each a type, and whether spot."""
    used: dict[str, int] = {}
    for name, spot in running:
        quota = quota_of(name, spot=spot)
        if quota and name in facts:
            used[quota.code] = used.get(quota.code, 0) + facts[name].vcpus
    return used


def _running(aws: Aws) -> list[tuple[str, bool]]:
    """The type of each instance of the account that runs in the region, whoever launched it; whether spot."""
    filters: Any = [{"Name": "instance-state-name", "Values": list(UP)}]
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    return [
        (one["InstanceType"], one.get("InstanceLifecycle") == "spot")
        for page in pages
        for reservation in page["Reservations"]
        for one in reservation["Instances"]
    ]


def _limit(aws: Aws, code: str) -> float | None:
    try:
        answer = aws.servicequotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
    except Exception as error:
        if error_code(error) != "NoSuchResourceException":
            raise
        return None
    value = answer.get("Quota", {}).get("Value")
    return float(value) if isinstance(value, int | float) else None
