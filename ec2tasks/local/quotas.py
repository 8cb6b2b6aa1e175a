"""What the local EC2 answers of quotas, and the launches that they refuse. Pure; moto has none of EC2's.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ec2tasks.local.answers import Refusal

LIMIT = 64.0  # vCPUs, of each quota that no fault says otherwise of
# By the letters that a type begins with: the codes of the quotas on demand and at the spot price.
CODES = {
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    **dict.fromkeys("p", ("L-417A185B", "L-7212CCBC")),
    **dict.fromkeys("acdhimrtz", ("L-1216C47A", "L-34B43A08")),
}


def code_of(instance_type: str, *, spot: bool) -> str | None:
    """The code of the quota that a type counts against; None for rare families."""
    letters = re.match(r"[a-z]*", instance_type)
    codes = CODES.get(letters[0] if letters else "")
    return codes[spot] if codes else None


def answer(request: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any] | Refusal:
    """The answer to GetServiceQuota; `limits` are those that a fault asks for, by code."""
    code = str(request.get("QuotaCode", ""))
    if request.get("ServiceCode") != "ec2" or code not in {one for pair in CODES.values() for one in pair}:
        return Refusal(code="NoSuchResourceException", message="The specified resource does not exist.")
    quota = {"ServiceCode": "ec2", "QuotaCode": code, "Value": limits.get(code, LIMIT), "Adjustable": True}
    return {"Quota": quota}


def refusal(
    instance_type: str,
    *,
    spot: bool,
    vcpus: int,
    running: Iterable[tuple[str, bool, int]],
    limits: Mapping[str, float],
) -> Refusal | None:
    """Why one more of this type is too much beside what runs: each a type, whether spot, its vCPUs.

    Only a limit that a fault asks for refuses: nobody is to meet one on their own machine.
    """
    code = code_of(instance_type, spot=spot)
    if code is None or code not in limits:
        return None
    used = sum(count for name, at_spot, count in running if code_of(name, spot=at_spot) == code)
    if used + vcpus <= limits[code]:
        return None
    if spot:
        return Refusal(code="MaxSpotInstanceCountExceeded", message="Max spot instance count exceeded")
    message = (
        f"You have requested more vCPU capacity than your current vCPU limit of {limits[code]:.0f} allows"
        " for the instance bucket that the specified instance type belongs to. Please visit"
        " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    )
    return Refusal(code="VcpuLimitExceeded", message=message)
