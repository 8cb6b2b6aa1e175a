"""AWS's prices: what is asked for, and what an answer comes to, whatever it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.aws.price_list import (
    DISK,
    has_price_list,
    lowest_price,
    newest_spot_prices,
    products_request,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def product(*usd: str) -> str:
    """A product of AWS's list with these prices on demand, and one reserved that is lower."""
    dimensions = {
        f"A.{place}": {"unit": "Hrs", "pricePerUnit": {"USD": one}} for place, one in enumerate(usd)
    }
    reserved = {"A.R": {"priceDimensions": {"A.R.1": {"pricePerUnit": {"USD": "0.0010000000"}}}}}
    return json.dumps({"terms": {"OnDemand": {"A": {"priceDimensions": dimensions}}, "Reserved": reserved}})


def test_a_type_is_asked_for_without_windows_software_or_a_reservation() -> None:
    asked = {one["Field"]: one["Value"] for one in products_request("g5.xlarge", "eu-central-1")["Filters"]}
    assert asked == {
        "regionCode": "eu-central-1",
        "instanceType": "g5.xlarge",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    disk = {one["Field"]: one["Value"] for one in products_request(DISK, "eu-central-1")["Filters"]}
    assert (disk["volumeApiName"], disk.get("instanceType")) == ("gp3", None)


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([product("0.6580000000")], 0.658),
        ([product("0.0000000000"), product("0.6580000000")], 0.658),
        ([product("0.7", "0.6")], 0.6),
        ([product("0.0000000000")], None),
        ([], None),
        (["no JSON", "[]", '{"terms": 3}', product("nan"), product("-1"), product("1e300")], None),
    ],
)
def test_the_lowest_price_on_demand_that_is_one(products: list[str], price: float | None) -> None:
    assert lowest_price(products) == price


@given(st.lists(JSON | st.builds(json.dumps, JSON)))
def test_whatever_is_answered_a_price_is_a_price(products: list[object]) -> None:
    price = lowest_price(products)
    assert price is None or price > 0


def test_the_newest_spot_price_of_each_zone_counts() -> None:
    def told(zone: str, usd: str, hour: int) -> dict[str, object]:
        place = {"InstanceType": "g5.xlarge", "AvailabilityZone": zone}
        return {**place, "SpotPrice": usd, "Timestamp": f"2026-11-01 {hour:02}:00"}

    history = [told("a", "0.41", 9), told("a", "0.40", 8), told("b", "junk", 9)]
    assert newest_spot_prices(history) == {("g5.xlarge", "a"): 0.41}


@pytest.mark.parametrize(
    ("region", "listed"),
    [("eu-central-1", True), ("ap-south-2", True), ("cn-north-1", False), ("us-gov-west-1", False)],
)
def test_other_partitions_are_not_asked(region: str, listed: bool) -> None:
    assert has_price_list(region) is listed
