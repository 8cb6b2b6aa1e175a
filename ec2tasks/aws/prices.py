"""What an instance costs an hour, in US dollars: itself, its disk and its public address; and who says so."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from ec2tasks.base.dataclass import dataclass

# What costs beside the instance where AWS has not told it: a GiB of gp3 is 0.08 to 0.1 a month by region; an
# address costs the same everywhere. https://aws.amazon.com/ebs/pricing/, https://aws.amazon.com/vpc/pricing/
GIB_MONTH = 0.09
ADDRESS_HOUR = 0.005
HOURS_OF_MONTH = 730
SMALL = 0.001  # dollars
SHIPPED = "the list that comes with ec2tasks"
OF_AWS = "AWS's price list"
OF_SPOT = "AWS's spot prices"
PRICES_PAGE = "https://aws.amazon.com/ec2/pricing/on-demand/"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A number of dollars, who said it and on what day (ISO 8601)."""

    usd: float
    source: str
    day: str


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What things cost in a region: an instance an hour by its type, on demand; a GiB of gp3 a month.

    `spot`: an instance an hour by type and zone at the spot price now.
    """

    region: str
    by_type: Mapping[str, Rate]
    gib_month: Rate
    spot: Mapping[tuple[str, str], Rate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one instance costs an hour: `instance` alone (None: not known), its `disk`, its public `address`.

    `source` and `day` say who told the instance's price, and when; at the spot price, that of the moment.
    """

    instance_type: str
    region: str
    zone: str = ""
    spot: bool = False
    instance: float | None
    disk: float = 0.0
    address: float = 0.0
    source: str = ""
    day: str = ""

    @property
    def hourly(self) -> float | None:
        """All of it, as long as it runs; None where the instance's price is not known."""
        return None if self.instance is None else self.instance + self.disk + self.address

    @property
    def stopped(self) -> float:
        """What is left of it while it is stopped: its disk."""
        return self.disk


@cache
def _shipped() -> dict[str, Any]:
    text = resources.files("ec2tasks").joinpath("aws", "prices.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def shipped_rates(region: str) -> Rates:
    """The prices of a region that come with ec2tasks: those of few types, in few regions."""
    content = _shipped()
    known: Mapping[str, float] = content["usd_per_hour"].get(region, {})
    rate = {name: Rate(usd=usd, source=SHIPPED, day=content["day"]) for name, usd in known.items()}
    disk = Rate(usd=GIB_MONTH, source=SHIPPED, day=content["day"])
    return Rates(region=region, by_type=rate, gib_month=disk)


def price_of(
    rates: Rates,
    instance_type: str,
    *,
    zone: str = "",
    spot: bool = False,
    disk_gb: int = 0,
    public: bool = True,
) -> Price:
    """What an instance of this type costs with a disk of so many GiB, and an address where it is `public`."""
    rate = rates.spot.get((instance_type, zone)) if spot else rates.by_type.get(instance_type)
    return Price(
        instance_type=instance_type,
        region=rates.region,
        zone=zone,
        spot=spot,
        instance=rate.usd if rate else None,
        disk=disk_gb * rates.gib_month.usd / HOURS_OF_MONTH,
        address=ADDRESS_HOUR if public else 0.0,
        source=rate.source if rate else "",
        day=rate.day if rate else "",
    )


def dollars(amount: float) -> str:
    """An amount in words, with two digits that count; one that nobody pays as such is only called small."""
    if 0 < amount < SMALL:
        return f"less than ${SMALL}"
    return f"${amount:.2f}" if amount >= 0.1 else f"${amount:.2g}"


def price_text(price: float | None) -> str:
    """A price per hour in words."""
    return f"≈ {dollars(price)}/h" if price else f"price not known: see {PRICES_PAGE}"


def offer_text(prices: Sequence[Price]) -> str:
    """What an instance would cost, the first of these or one of the others, and who says so.

    Of a type at several spot prices, which differ by zone, the highest counts.
    """
    dearest: dict[str, Price] = {}
    for price in sorted(prices, key=lambda price: price.instance or 0.0):
        dearest[price.instance_type] = price
    first, *others = (dearest[name] for name in dict.fromkeys(price.instance_type for price in prices))
    parts = [f"{first.instance_type}{_at_spot(first)} in {first.region}: {_alone(first)}"]
    parts += [f"disk {dollars(first.disk)}"] if first.disk else []
    parts += [f"address {dollars(first.address)}"] if first.address else []
    rest = ", ".join(f"{one.instance_type} {_short(one)}" for one in others)
    told = sorted({f"{one.source} of {one.day}" for one in (first, *others) if one.source})
    text = ", ".join(parts) + (f"; else {rest}" if rest else "")
    return f"{text} ({', '.join(told)})" if told else text


def _at_spot(price: Price) -> str:
    return " at the spot price" if price.spot else ""


def _alone(price: Price) -> str:
    if price.instance is None:
        return f"its price is not known here, see {PRICES_PAGE}"
    return f"{dollars(price.instance)} an hour{', now, in the dearest zone' if price.spot else ''}"


def _short(price: Price) -> str:
    return "at a price not known here" if price.instance is None else dollars(price.instance)


def amount(text: object) -> float | None:
    """A number of dollars that somebody else says; None for what can't be one."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value < 1e6 else None


def affordable_seconds(usd: float, hourly: float | None) -> int | None:
    """How long an instance runs for so many dollars, at least a second; 0, for ever, for no sum.

    None where its price is not known.
    """
    if not usd:
        return 0
    return max(1, int(usd / hourly * 3600)) if hourly else None


def cost(price: float | None, since: datetime, until: datetime) -> float | None:
    """The cost of the time between two moments, in US dollars; EC2 bills by the second."""
    return None if price is None else price * (until - since).total_seconds() / 3600
