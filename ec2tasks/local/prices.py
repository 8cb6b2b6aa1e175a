"""What the local EC2 answers of prices: AWS's own of few types, and of others that they are not known. Pure.

moto has no Price List, and no spot price but one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Dollars an hour on demand under Linux in us-east-1; a month of a GiB of gp3 there.
US_EAST = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g5.xlarge": 1.006,
    "g6.xlarge": 0.8048,
    "t3.micro": 0.0104,
    "t3.large": 0.0832,
    "c5.large": 0.085,
}
US_EAST_GIB = 0.08
ELSEWHERE = {"us-east-1": 1.0, "us-east-2": 1.0, "us-west-2": 1.0, "eu-central-1": 1.25}  # times that
OTHERS = 1.15
SPOT_PART = 0.4  # of the price on demand, in a region's first zone; a little more in each other
MOTO_PRICE = re.compile(rb"<spotPrice>[^<]*</spotPrice>")
ITEM = re.compile(rb"<item>.*?</item>", re.DOTALL)


def hourly(instance_type: str, region: str) -> float | None:
    """The dollars an hour of a type in a region; None where it is not known."""
    price = US_EAST.get(instance_type)
    return None if price is None else round(price * ELSEWHERE.get(region, OTHERS), 4)


def products(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to GetProducts, for a type on demand or for gp3.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
    """
    asked = {one.get("Field"): one.get("Value") for one in request.get("Filters", [])}
    region, name = str(asked.get("regionCode", "")), str(asked.get("instanceType", ""))
    if asked.get("volumeApiName") == "gp3":
        found = [("gp3", "GB-Mo", US_EAST_GIB * ELSEWHERE.get(region, OTHERS))]
    else:
        price = hourly(name, region)
        found = [(name, "Hrs", price)] if price is not None else []
    return {"FormatVersion": "aws_v1", "PriceList": [_product(*one) for one in found]}


def _product(name: str, unit: str, usd: float) -> str:
    dimension = {"unit": unit, "pricePerUnit": {"USD": f"{usd:.10f}"}}
    terms = {
        "OnDemand": {f"{name}.JRTCKXETXF": {"priceDimensions": {f"{name}.JRTCKXETXF.6YS6EN2CT7": dimension}}}
    }
    return json.dumps({"product": {"attributes": {"instanceType": name}}, "terms": terms})


def with_spot_prices(body: bytes, region: str) -> bytes:
    """Moto's answer to DescribeSpotPriceHistory with a price by type and zone."""
    return ITEM.sub(lambda item: _with_spot_price(item[0], region), body)


def _with_spot_price(item: bytes, region: str) -> bytes:
    name = re.search(rb"<instanceType>([^<]*)<", item)
    zone = re.search(rb"<availabilityZone>[^<]*?([a-z])<", item)
    price = hourly(name[1].decode(), region) if name else None
    if price is None or zone is None:
        return b""
    part = SPOT_PART + 0.02 * (ord(zone[1]) - ord("a"))
    return MOTO_PRICE.sub(f"<spotPrice>{price * part:.6f}</spotPrice>".encode(), item)
