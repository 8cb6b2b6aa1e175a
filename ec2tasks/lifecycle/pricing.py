"""Prices as this machine remembers them for all projects, and AWS's own where they are missing or old."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta

from ec2tasks.aws.errors import explain
from ec2tasks.aws.price_list import DISK, has_price_list, listed_prices, spot_prices
from ec2tasks.aws.prices import OF_AWS, OF_SPOT, SHIPPED, Price, Rate, Rates, amount, shipped_rates
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import in_background
from ec2tasks.base.state import digest, read_cached, write_cached
from ec2tasks.config.parsers import dollars_text
from ec2tasks.lifecycle.context import CallContext

KEPT_DAYS = 30
PATIENCE = 1.0  # seconds that a launch waits for prices once all else is known


@dataclass(frozen=True, kw_only=True)
class Told:
    """The prices of a region, and why they are not AWS's own, where they could not be had."""

    rates: Rates
    refused: Failure | None = None

    def say(self) -> None:
        """Say why a price is not AWS's own."""
        if self.refused:
            output.warning(f"{self.refused.what}: prices are those of {SHIPPED}", hint=self.refused.hint)


def remembered_rates(context: CallContext, *, today: Callable[[], date] = date.today) -> Rates:
    """What this machine knows without asking: what AWS told in the last days, else what was shipped."""
    return known_rates(context.aws.region, read_cached(context.state, _key(context)), today())


def known_rates(region: str, kept: Mapping[str, object] | None, today: date) -> Rates:
    """The rates that were shipped, and in their place those kept that are no older than `KEPT_DAYS`."""
    shipped, fresh = shipped_rates(region), _fresh(kept, today)
    types = {name: rate for name, rate in fresh.items() if name != DISK}
    return replace(
        shipped, by_type={**shipped.by_type, **types}, gib_month=fresh.get(DISK, shipped.gib_month)
    )


def _fresh(kept: Mapping[str, object] | None, today: date) -> dict[str, Rate]:
    """What is kept as `[dollars, day]` by name, but for what is too old, of tomorrow, or no price."""
    rates = {}
    for name, entry in (kept or {}).items():
        usd, day = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        told, value = _day(day), amount(usd)
        if value and told and timedelta(0) <= today - told <= timedelta(days=KEPT_DAYS):
            rates[name] = Rate(usd=value, source=OF_AWS, day=str(told))
    return rates


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def ask_rates(context: CallContext, *, patience: float = PATIENCE) -> Callable[[], Told]:
    """Begin to ask AWS for prices; the function returned waits for them, so many seconds at most.

    What comes later is kept for the next call all the same.
    """
    answer = in_background(lambda: told_rates(context), patience=patience)

    def told() -> Told:
        try:
            return answer()
        except TimeoutError:
            slow = Failure(f"AWS has told no price within {patience:g} s", hint="`ec2tasks quote` asks again")
            return Told(rates=remembered_rates(context), refused=slow)

    return told


def told_rates(context: CallContext, *, today: Callable[[], date] = date.today) -> Told:
    """The prices of the types that the settings name, asked for where this machine does not know them."""
    settings, now = context.settings, today()
    kept = read_cached(context.state, _key(context))
    missing = [name for name in (*settings.instance_type, DISK) if name not in _fresh(kept, now)]
    refused, asked, at_spot = None, dict[str, float](), dict[tuple[str, str], float]()
    try:
        if missing and has_price_list(context.aws.region):
            asked = listed_prices(context.aws, missing)
            kept = {**(kept or {}), **{name: [usd, str(now)] for name, usd in asked.items()}}
            write_cached(context.state, _key(context), kept)
        if settings.spot:
            at_spot = spot_prices(context.aws, settings.instance_type)
    except Exception as error:
        refused = explain(error)
        if refused is None:
            raise
    spot = {place: Rate(usd=usd, source=OF_SPOT, day=str(now)) for place, usd in at_spot.items()}
    return Told(rates=replace(known_rates(context.aws.region, kept, now), spot=spot), refused=refused)


def check_affordable(max_cost: float, prices: Iterable[Price]) -> None:
    """Raise UsageError where an instance is to cost so many dollars at most, and its price is not known."""
    unknown = sorted({price.instance_type for price in prices if price.hourly is None})
    if max_cost and unknown:
        raise no_price_error(max_cost, f"for {', '.join(unknown)}")


def no_price_error(max_cost: float, whose: str) -> UsageError:
    """The error that max_cost can't be turned into a time."""
    return UsageError(
        f"max_cost: {dollars_text(max_cost)} can't be kept, as no price is known here {whose}",
        hint="`ec2tasks quote` asks AWS for prices; `--max-cost never --max-hours 8` needs none",
    )


def _key(context: CallContext, environ: Mapping[str, str] = os.environ) -> str:
    """What prices are kept under: the same for all projects and accounts of AWS, or of what stands for it."""
    place = environ.get("AWS_ENDPOINT_URL", "")
    return f"prices-{digest(context.aws.endpoint.name, place, context.aws.region)}"
