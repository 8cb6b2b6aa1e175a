"""Prices: remembered for a month, asked beside a launch, and never what keeps one from going on."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from support.values import call_context, client_error, settings

from ec2tasks.aws.client import Aws
from ec2tasks.aws.images import Image
from ec2tasks.aws.launch_request import Candidate, LaunchPlan
from ec2tasks.aws.networks import Subnet
from ec2tasks.aws.prices import OF_AWS, OF_SPOT, SHIPPED, Rate, price_of
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import UsageError
from ec2tasks.base.state import State
from ec2tasks.lifecycle.bring_up import _priced
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.pricing import (
    KEPT_DAYS,
    Told,
    ask_rates,
    check_affordable,
    known_rates,
    remembered_rates,
    told_rates,
)

REGION, TODAY = "eu-central-1", date(2026, 11, 29)


class PriceList:
    """AWS's Price List as it answers one question after the other; what it is asked is kept."""

    def __init__(self, *, usd: str = "0.5", refuses: Exception | None = None, holds: bool = False) -> None:
        self.asked: list[str] = []
        self.usd, self.refuses, self.go_on = usd, refuses, threading.Event()
        if not holds:
            self.go_on.set()

    def get_products(self, **request: Any) -> dict[str, Any]:
        values = {one["Field"]: one["Value"] for one in request["Filters"]}
        self.asked.append(values.get("instanceType") or values["volumeApiName"])
        assert self.go_on.wait(30)
        if self.refuses:
            raise self.refuses
        usd = f'{{"pricePerUnit": {{"USD": "{self.usd}"}}}}'
        return {"PriceList": [f'{{"terms": {{"OnDemand": {{"A": {{"priceDimensions": {{"B": {usd}}}}}}}}}}}']}


def asking(state: State, prices: PriceList, **options: object) -> CallContext:
    """A call whose AWS answers these prices, and no more."""
    context = call_context(state, **options)
    aws = Aws(endpoint=AWS, region=context.settings.region, _kept={("pricing", 2): prices})
    return replace(context, aws=aws)


def test_what_aws_told_is_asked_for_again_after_a_month_and_counts_for_all_projects(state: State) -> None:
    prices = PriceList()
    context = asking(state, prices)
    first = told_rates(context, today=lambda: TODAY).rates
    assert sorted(prices.asked) == ["g4dn.xlarge", "g5.xlarge", "g6.xlarge", "gp3"]
    assert (first.by_type["g5.xlarge"].usd, first.by_type["g5.xlarge"].source) == (0.5, OF_AWS)
    other = replace(context, settings=replace(context.settings, name="another", instance_type=("g5.xlarge",)))
    later = TODAY + timedelta(days=KEPT_DAYS)
    assert remembered_rates(other, today=lambda: later) == first
    prices.asked.clear()
    told_rates(other, today=lambda: later)
    assert prices.asked == []
    told_rates(other, today=lambda: later + timedelta(days=1))
    assert sorted(prices.asked) == ["g5.xlarge", "gp3"]


def test_what_stands_for_aws_tells_no_price_of_aws(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    context = asking(state, PriceList(usd="99"))
    assert told_rates(context, today=lambda: TODAY).rates.by_type["g5.xlarge"].usd == 99
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert remembered_rates(context, today=lambda: TODAY).by_type["g5.xlarge"].usd != 99


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (
            client_error(
                "AccessDeniedException",
                "User: x is not authorized to perform: pricing:GetProducts because",
                "GetProducts",
            ),
            "`pricing:GetProducts`",
        ),
        (EndpointConnectionError(endpoint_url="https://api.pricing"), "check the network"),
    ],
)
def test_where_aws_tells_none_the_list_that_comes_along_counts_and_why_is_said(
    refused: Exception, said: str, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ask_rates(asking(state, PriceList(refuses=refused)), patience=30)()
    assert told.rates.by_type["g4dn.xlarge"].source == SHIPPED
    told.say()
    err = capsys.readouterr().err
    assert f"prices are those of {SHIPPED}" in err
    assert said in err


def test_a_list_that_is_slow_holds_no_launch_and_is_remembered_all_the_same(state: State) -> None:
    prices = PriceList(holds=True)
    context = asking(state, prices)
    told = ask_rates(context, patience=0.01)()
    assert "no price within 0.01 s" in str(told.refused)
    assert told.rates.by_type["g4dn.xlarge"].source == SHIPPED
    again = ask_rates(context, patience=30)
    prices.go_on.set()
    assert again().rates.by_type["g4dn.xlarge"].source == OF_AWS


def test_another_partition_is_not_asked_and_its_price_is_not_known(state: State) -> None:
    prices = PriceList()
    told = told_rates(asking(state, prices, region="cn-north-1"))
    assert (prices.asked, told.refused) == ([], None)
    assert price_of(told.rates, "g4dn.xlarge").hourly is None


def test_an_error_that_nobody_can_have_caused_flies(state: State) -> None:
    with pytest.raises(ZeroDivisionError):
        told_rates(asking(state, PriceList(refuses=ZeroDivisionError())))


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.lists(st.text() | st.floats()))))
def test_whatever_stands_in_the_file_prices_are_known(kept: dict[str, object]) -> None:
    rates = known_rates(REGION, kept, TODAY)
    assert rates.by_type["g4dn.xlarge"].usd > 0


@pytest.mark.parametrize("day", [str(TODAY + timedelta(days=1)), str(TODAY - timedelta(days=31)), "junk"])
def test_a_price_of_tomorrow_or_of_long_ago_does_not_count(day: str) -> None:
    assert known_rates(REGION, {"g4dn.xlarge": [9.0, day]}, TODAY).by_type["g4dn.xlarge"].usd == 0.66


def test_max_cost_is_refused_for_a_type_of_no_known_price_before_anything_is_launched() -> None:
    rates = known_rates(REGION, None, TODAY)
    known, unknown = (price_of(rates, name) for name in ("g5.xlarge", "x9.huge"))
    check_affordable(5.0, [known])
    check_affordable(0.0, [known, unknown])
    with pytest.raises(
        UsageError, match=r"max_cost: \$5.00 can't be kept, as no price is known here for x9.huge"
    ):
        check_affordable(5.0, [known, unknown])


def test_what_a_launch_may_come_to_is_said_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    """At the spot price, and on demand where the settings let it fall back to that."""
    options = {"spot": True, "spot_fallback": True, "instance_type": ["g5.xlarge"]}
    subnet = Subnet(id="subnet-1", zone=f"{REGION}a", vpc="vpc-1")
    plan = LaunchPlan(
        settings=settings(**options),
        tags={},
        image=Image(id="ami-1", name="x", user="ubuntu", root_device="/dev/sda1"),
        key_name="kim",
        public_key=None,
        group_id="sg-1",
        profile=None,
        candidates=(Candidate(instance_type="g5.xlarge", subnet=subnet),),
    )
    spot = {("g5.xlarge", subnet.zone): Rate(usd=0.5, source=OF_SPOT, day=str(TODAY))}
    rates = replace(known_rates(REGION, None, TODAY), spot=spot)
    priced = _priced(plan, Told(rates=rates))
    first, second = capsys.readouterr().err.splitlines()
    assert "g5.xlarge at the spot price in eu-central-1: $0.50 an hour" in first
    assert "without spot capacity, on demand: g5.xlarge in eu-central-1: $1.26 an hour" in second
    assert priced.prices == {f"g5.xlarge@{REGION}a spot": [0.505, 0.0], f"g5.xlarge@{REGION}a": [1.265, 0.0]}
