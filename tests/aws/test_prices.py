from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ec2tasks.aws.prices import cost, hourly_price, price_text

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def test_a_known_price_and_an_unknown_one() -> None:
    assert hourly_price("g4dn.xlarge", "eu-central-1") == 0.66
    assert hourly_price("g4dn.xlarge", "mars-north-1") is None
    assert price_text(0.66) == "≈ $0.66/h"
    assert "aws.amazon.com" in price_text(None)


@pytest.mark.parametrize(("price", "hours", "dollars"), [(0.66, 2, 1.32), (1.0, 0.5, 0.5), (None, 3, None)])
def test_what_a_time_costs(price: float | None, hours: float, dollars: float | None) -> None:
    assert cost(price, NOON, NOON + timedelta(hours=hours)) == dollars
