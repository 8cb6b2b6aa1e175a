"""What EC2 did not grant, for which reason, and whether that reason holds for the next candidate too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ec2tasks.aws.errors import HINTS
from ec2tasks.aws.quotas import EXCEEDED, Quota, quota_of, raise_hint
from ec2tasks.base.errors import Failure

# Refusals that may pass soon: even a limit, as an instance that AWS has just taken back counts for a while.
REFUSED_FOR_NOW = {"InsufficientInstanceCapacity", *EXCEEDED}


class NoCapacityError(Failure):
    """AWS grants none of the types asked for now, but may soon."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What EC2 did not grant, and the code that says why."""

    instance_type: str
    zone: str
    spot: bool
    code: str

    @property
    def quota(self) -> Quota | None:
        """The quota that is used up, where that is the reason."""
        return quota_of(self.instance_type, spot=self.spot) if self.code in EXCEEDED else None

    @property
    def what(self) -> str:
        """What was asked for, wherever."""
        return f"{self.instance_type} at the spot price" if self.spot else self.instance_type

    @property
    def why(self) -> str:
        """The code, and the quota that it is about."""
        return f"{self.code}, quota `{self.quota.name}` ({self.quota.code})" if self.quota else self.code

    def holds_for(self, instance_type: str, *, spot: bool) -> bool:
        """Whether the same awaits another candidate: a quota is the region's, whatever the zone.

        Types of one size have the same number of processors, near enough.
        """
        if self.code not in EXCEEDED or spot != self.spot:
            return False
        shared = self.quota is not None and self.quota == quota_of(instance_type, spot=spot)
        one_size = self.instance_type.partition(".")[2] == instance_type.partition(".")[2]
        return self.instance_type == instance_type or (shared and one_size)


def none_granted(refusals: Sequence[Refusal], region: str) -> Failure:
    """The failure that sums up all refusals, each reason once, and says what can be done about it."""
    zones: dict[tuple[str, str], list[str]] = {}
    for one in refusals:
        zones.setdefault((one.what, one.why), []).append(one.zone)
    words = "; ".join(f"{what} in {', '.join(places)}: {why}" for (what, why), places in zones.items())
    on_demand = "--spot-fallback launches on demand instead; " if all(one.spot for one in refusals) else ""
    kind = NoCapacityError if {one.code for one in refusals} <= REFUSED_FOR_NOW else Failure
    hint = f"{on_demand}{_way_out(refusals, region)}"
    return kind(f"EC2 grants no instance in {region}: {words}", hint=hint)


def _way_out(refusals: Sequence[Refusal], region: str) -> str:
    """What to type about the refusal that can be changed, if there is one."""
    over = next((one for one in refusals if one.code in EXCEEDED), None)
    if over:
        return raise_hint(over.instance_type, over.quota, region)
    code = next((one.code for one in refusals if "Limit" in one.code), refusals[0].code)
    return HINTS.get(code, HINTS["InsufficientInstanceCapacity"])
