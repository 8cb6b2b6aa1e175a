"""What an instance costs: from rates to a price, in words, and what nobody may make of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.aws.prices import (
    ADDRESS_HOUR,
    HOURS_OF_MONTH,
    OF_SPOT,
    Price,
    Rate,
    Rates,
    amount,
    cost,
    dollars,
    offer_text,
    price_of,
    price_text,
    shipped_rates,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
REGION = "eu-central-1"


def test_what_comes_with_ec2tasks_says_its_day_and_knows_few_regions() -> None:
    rates = shipped_rates(REGION)
    price = price_of(rates, "g4dn.xlarge")
    assert (price.instance, price.source) == (0.66, "the list that comes with ec2tasks")
    assert price.day.startswith("20")
    assert price_of(shipped_rates("mars-north-1"), "g4dn.xlarge").hourly is None


def test_the_disk_and_the_address_count_and_the_disk_goes_on_while_stopped() -> None:
    price = price_of(shipped_rates(REGION), "g4dn.xlarge", disk_gb=730)
    assert price.disk == pytest.approx(0.09)
    assert price.hourly == pytest.approx(0.66 + 0.09 + ADDRESS_HOUR)
    assert price.stopped == price.disk
    private = price_of(shipped_rates(REGION), "g4dn.xlarge", disk_gb=730, public=False)
    assert private.hourly == pytest.approx(0.66 + 0.09)


def test_at_the_spot_price_the_zone_counts_and_no_other_price_stands_in() -> None:
    spot = {("g4dn.xlarge", f"{REGION}a"): Rate(usd=0.21, source=OF_SPOT, day="2026-11-01")}
    rates = Rates(
        region=REGION,
        by_type=shipped_rates(REGION).by_type,
        gib_month=shipped_rates(REGION).gib_month,
        spot=spot,
    )
    assert price_of(rates, "g4dn.xlarge", zone=f"{REGION}a", spot=True).instance == 0.21
    assert price_of(rates, "g4dn.xlarge", zone=f"{REGION}b", spot=True).instance is None


def test_an_offer_says_each_part_the_other_types_and_who_says_so() -> None:
    rates = shipped_rates(REGION)
    types = ("g4dn.xlarge", "g6.xlarge", "p9.huge")
    assert offer_text([price_of(rates, name, disk_gb=80) for name in types]) == (
        "g4dn.xlarge in eu-central-1: $0.66 an hour, disk $0.0099, address $0.005; else g6.xlarge $1.01,"
        " p9.huge at a price not known here (the list that comes with ec2tasks of 2026-11-01)"
    )
    assert offer_text([price_of(rates, "p9.huge", public=False)]) == (
        "p9.huge in eu-central-1: its price is not known here, see https://aws.amazon.com/ec2/pricing/on-demand/"
    )


def test_of_several_spot_prices_of_a_type_the_highest_is_said() -> None:
    zones = [
        Price(instance_type="g5.xlarge", region=REGION, zone=zone, spot=True, instance=usd)
        for zone, usd in (("a", 0.4), ("b", 0.5), ("c", 0.3))
    ]
    assert (
        offer_text(zones)
        == "g5.xlarge at the spot price in eu-central-1: $0.50 an hour, now, in the dearest zone"
    )


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0.66, "$0.66"),
        (12.5, "$12.50"),
        (0.0098, "$0.0098"),
        (0.005, "$0.005"),
        (6e-5, "less than $0.001"),
        (0, "$0"),
    ],
)
def test_an_amount_has_two_digits_that_count(usd: float, words: str) -> None:
    assert dollars(usd) == words


def test_a_price_in_words_or_that_it_is_not_known() -> None:
    assert price_text(0.66) == "≈ $0.66/h"
    assert price_text(None) == "price not known: see https://aws.amazon.com/ec2/pricing/on-demand/"


@given(st.one_of(st.text(), st.floats(), st.none(), st.integers()))
def test_what_somebody_says_is_a_price_is_one_or_nothing(said: object) -> None:
    value = amount(said)
    assert value is None or 0 < value < 1e6


@given(st.integers(0, 16384), st.booleans())
def test_whatever_the_disk_an_hour_costs_no_less_than_the_instance(size: int, public: bool) -> None:
    price = price_of(shipped_rates(REGION), "g6.xlarge", disk_gb=size, public=public)
    assert price.hourly is not None
    assert price.instance is not None
    assert price.hourly >= price.instance
    assert price.stopped == pytest.approx(size * 0.09 / HOURS_OF_MONTH)


@pytest.mark.parametrize(("price", "hours", "dollars"), [(0.66, 2, 1.32), (1.0, 0.5, 0.5), (None, 3, None)])
def test_what_a_time_costs(price: float | None, hours: float, dollars: float | None) -> None:
    assert cost(price, NOON, NOON + timedelta(hours=hours)) == dollars
