"""EC2's refusals of a launch, for want of capacity or quota: which reason, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ec2tasks.aws.explanations import hint_for
from ec2tasks.aws.quotas import EXCEEDED, Quota, quota_of, raise_hint
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure

# Refusals that may pass soon: even a limit, as an instance that AWS has just taken back counts for a while.
REFUSED_FOR_NOW = {
    *("InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity"),
    *("ReservationCapacityExceeded", *EXCEEDED),
}
# Where AWS's texts differ by the zones alone, the first stands for all.
ZONES = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d[a-z](?:, )?")


class NoCapacityError(Failure):
    """EC2 has no capacity for any of the types asked for now, but may soon."""


class QuotaError(NoCapacityError):
    """Every type asked for is beyond a quota of the account: no waiting makes room, only an end does."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One type in one zone that EC2 did not grant, and the error code and AWS's text that say why.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """

    instance_type: str
    zone: str
    spot: bool
    code: str
    text: str = ""

    @property
    def quota(self) -> Quota | None:
        """The quota that is used up, where that is the reason."""
        return quota_of(self.instance_type, spot=self.spot) if self.code in EXCEEDED else None

    @property
    def requested(self) -> str:
        """What was asked for, in whatever zone."""
        return f"{self.instance_type} at the spot price" if self.spot else self.instance_type

    @property
    def reason(self) -> str:
        """The error code, and the quota that it is about."""
        return f"{self.code}, quota `{self.quota.name}` ({self.quota.code})" if self.quota else self.code

    def applies_to(self, instance_type: str, zone: str, *, spot: bool) -> bool:
        """Whether this type would be refused there for the same reason.

        A quota is the region's, whatever the zone. Types of one size have the same number of processors, near
        enough.
        """
        if (instance_type, zone, spot) == (self.instance_type, self.zone, self.spot):
            return True
        if self.code not in EXCEEDED or spot != self.spot:
            return False
        shared = self.quota is not None and self.quota == quota_of(instance_type, spot=spot)
        one_size = self.instance_type.partition(".")[2] == instance_type.partition(".")[2]
        return self.instance_type == instance_type or (shared and one_size)


def refused_failure(refusals: Sequence[Refusal], region: str) -> Failure:
    """The failure to raise where every candidate was refused: each reason once, AWS's words, what to type.

    A NoCapacityError where all of them may pass soon.
    """
    zones: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], str] = {}
    for refusal in refusals:
        zones.setdefault((refusal.requested, refusal.reason), []).append(refusal.zone)
        said.setdefault((refusal.requested, ZONES.sub("", refusal.text)), refusal.text)
    words = "; ".join(
        f"{requested} in {', '.join(names)}: {reason}" for (requested, reason), names in zones.items()
    )
    all_spot = all(refusal.spot for refusal in refusals)
    on_demand = "--spot-fallback launches on demand instead; " if all_spot else ""
    return _kind({refusal.code for refusal in refusals})(
        f"EC2 grants no instance in {region}: {words}",
        lines=list(dict.fromkeys(text for text in said.values() if text)),
        hint=f"{on_demand}{_hint(refusals, region)}",
    )


def _kind(codes: set[str]) -> type[Failure]:
    if codes <= set(EXCEEDED):
        return QuotaError
    return NoCapacityError if codes <= REFUSED_FOR_NOW else Failure


def _hint(refusals: Sequence[Refusal], region: str) -> str:
    """What to type about the refusal that can be changed, else about each kind of them."""
    exceeded = next((refusal for refusal in refusals if refusal.code in EXCEEDED), None)
    if exceeded:
        return raise_hint(exceeded.instance_type, exceeded.quota, region)
    limits = [refusal for refusal in refusals if "Limit" in refusal.code]
    hints = [hint_for(refusal.code, refusal.text, region) for refusal in limits or refusals]
    return "; ".join(dict.fromkeys(hints))
