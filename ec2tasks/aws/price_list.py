"""AWS's own prices: on demand and of disks by the Price List, at the spot price by what was last paid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.prices import amount

# The partitions whose credentials AWS's Price List does not take.
# https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html
WITHOUT_LIST = ("cn-", "us-gov-", "us-iso", "eu-isoe", "eusc-")
DISK = "gp3"  # what a disk costs is asked for by its kind, in place of a type
# What tells the plain price of a type from its many others: no Windows, no software, no reservation.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/concepts.html
PLAIN = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
AT_ONCE = 4


def has_price_list(region: str) -> bool:
    """Whether AWS's Price List can be asked with the credentials of this region."""
    return not region.startswith(WITHOUT_LIST)


def listed_prices(aws: Aws, names: Sequence[str]) -> dict[str, float]:
    """The dollars an hour of these types on demand, and a month of a GiB of `DISK`; without those not listed.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
    """

    def ask(name: str) -> float | None:
        answer = aws.pricing.get_products(**products_request(name, aws.region))
        return lowest_price(answer.get("PriceList", []))

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return {name: price for name, price in zip(names, pool.map(ask, names), strict=True) if price}


def products_request(name: str, region: str) -> dict[str, Any]:
    """The GetProducts request for a type, or for `DISK`, in a region."""
    asked = (
        {"volumeApiName": DISK, "productFamily": "Storage"}
        if name == DISK
        else {"instanceType": name, **PLAIN}
    )
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in {"regionCode": region, **asked}.items()
    ]
    return {"ServiceCode": "AmazonEC2", "Filters": filters, "MaxResults": 100}


def lowest_price(products: Sequence[object]) -> float | None:
    """The lowest price on demand of these products, each a JSON text; None where none has one.

    Beside the price itself AWS lists the same at 0, for what is reserved or free.
    """
    prices = [price for product in products for price in _on_demand(product)]
    return min(prices, default=None)


def _on_demand(product: object) -> list[float]:
    try:
        terms = json.loads(str(product))["terms"]["OnDemand"].values()
        dimensions = [one for term in terms for one in term["priceDimensions"].values()]
        said = [one["pricePerUnit"].get("USD") for one in dimensions]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [price for one in said if (price := amount(one))]


def spot_prices(aws: Aws, types: Sequence[str]) -> dict[tuple[str, str], float]:
    """The dollars an hour of these types at the spot price now, by type and zone.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
    """
    answer = aws.ec2.describe_spot_price_history(
        InstanceTypes=list(types),  # type: ignore[arg-type]
        ProductDescriptions=["Linux/UNIX"],
        StartTime=datetime.now(timezone.utc),
    )
    return newest_spot_prices(answer["SpotPriceHistory"])


def newest_spot_prices(history: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """The newest price of each type and zone in a history of spot prices."""
    by_age = sorted(history, key=lambda one: str(one.get("Timestamp", "")))
    said = {
        (one.get("InstanceType", ""), one.get("AvailabilityZone", "")): one.get("SpotPrice") for one in by_age
    }
    return {place: price for place, one in said.items() if (price := amount(one))}
