from __future__ import annotations

import pytest
from support.values import settings

from ec2tasks.commands.run import remaining


@pytest.mark.parametrize(("most", "used", "left"), [(0, 50, 0), (100, 0, 100), (100, 30, 70), (100, 200, 1)])
def test_a_resumed_run_has_what_its_earlier_instances_left_of_max_hours(
    most: int, used: float, left: int
) -> None:
    asked = settings(max_hours=f"{most} s" if most else "never")
    assert remaining(asked, used).max_hours == left


@pytest.mark.parametrize(("most", "spent", "left"), [(0, 3, 0), (5, 0, 5), (5, 3, 2), (5, 9, 0.01)])
def test_a_resumed_run_has_what_its_earlier_instances_left_of_max_cost(
    most: float, spent: float, left: float
) -> None:
    assert remaining(settings(max_cost=most or "never"), 50, spent).max_cost == left
