"""Prices of instances: dollars per hour on demand, from a list that comes with ec2tasks (`prices.json`)."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib import resources

# What costs beside the instance, in dollars: a GiB of gp3 is 0.08 to 0.1 a month by region, an address costs
# the same everywhere. https://aws.amazon.com/ebs/pricing/, https://aws.amazon.com/vpc/pricing/
GIB_MONTH = 0.09
ADDRESS_HOUR = 0.005
HOURS_OF_MONTH = 730


@cache
def _prices() -> dict[str, dict[str, float]]:
    text = resources.files("ec2tasks").joinpath("aws", "prices.json").read_text(encoding="utf-8")
    prices: dict[str, dict[str, float]] = json.loads(text)["usd_per_hour"]
    return prices


def hourly_price(instance_type: str, region: str) -> float | None:
    """The price of a type in US dollars per hour, on demand under Linux; None where the list lacks it."""
    return _prices().get(region, {}).get(instance_type)


def price_text(price: float | None) -> str:
    """A price per hour in words."""
    return f"≈ ${price:.2f}/h" if price else "price: see https://aws.amazon.com/ec2/pricing/on-demand/"


def cost(price: float | None, since: datetime, until: datetime) -> float | None:
    """The cost of the time between two moments, in US dollars; EC2 bills by the second."""
    return None if price is None else price * (until - since).total_seconds() / 3600
