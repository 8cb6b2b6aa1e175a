"""What tells one user's instance from another's on this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.values import call_context

from ec2tasks.base.state import State


def test_nothing_of_one_account_is_taken_for_another_s(state: State) -> None:
    """Within ten minutes the control connection of the first still stands, and AWS would not be asked."""
    one = replace(call_context(state), whose=lambda: "work")
    other = replace(call_context(state), whose=lambda: "home")
    assert one.key != other.key
    assert one.place.account != other.place.account
    assert one.public_key != other.public_key
    assert one.key == replace(call_context(state), whose=lambda: "work").key


@pytest.mark.parametrize("changed", [{"region": "eu-west-1"}, {"name": "other"}, {"key_name": "nina"}])
def test_each_of_region_name_and_owner_tells_instances_apart(changed: dict[str, str], state: State) -> None:
    assert call_context(state).key != call_context(state, **changed).key
    assert call_context(state).key_of("eu-central-1", "kim-shop") == call_context(state).key
