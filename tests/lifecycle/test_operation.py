from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, call_context, settings

from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import State
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.operation import Operation

ENDS = st.none() | st.sampled_from(FinalState)


@given(asked=ENDS, default=ENDS, launched=st.booleans(), started=st.booleans())
def test_a_default_end_is_for_what_is_launched_and_one_asked_for_is_for_all(
    asked: FinalState | None, default: FinalState | None, launched: bool, started: bool
) -> None:
    operation = Operation(context=cast(CallContext, None), final_state=asked, default_end=default)
    final_state = operation.final_state_of(launched=launched, started=started)
    if asked:
        assert final_state is asked
    elif launched:
        assert final_state is default
    else:
        assert final_state in (None, FinalState.STOP)
        assert (final_state is FinalState.STOP) == (started and default is not None)


@pytest.mark.parametrize(
    ("given", "price", "seconds"),
    [
        ({}, 1.0, None),  # as an earlier call has set it
        ({}, None, None),
        ({"max_cost": "never"}, None, 0),
        ({"max_cost": 5}, 1.25, 4 * 3600),
        ({"max_cost": 0.01}, 98.0, 1),
    ],
)
def test_max_cost_is_a_time_by_the_price_of_the_instance(
    given: dict[str, object], price: float | None, seconds: int | None, tmp_path: Path
) -> None:
    operation = Operation(
        context=replace(call_context(State(folder=tmp_path, sockets=tmp_path)), settings=settings(**given))
    )
    request = operation.session_request(replace(INSTANCE, price=price), None, launched=False)
    assert request.cost_seconds == seconds


def test_without_a_known_price_max_cost_refuses_a_run_and_keeps_nobody_from_ending_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = replace(call_context(State(folder=tmp_path, sockets=tmp_path)), settings=settings(max_cost=5))
    unpriced, words = (
        replace(INSTANCE, price=None),
        "max_cost: $5.00 can't be kept, as no price is known here",
    )
    with pytest.raises(UsageError, match=re.escape(words)):
        Operation(context=context, default_end=FinalState.STOP).session_request(
            unpriced, None, launched=False
        )
    assert Operation(context=context).session_request(unpriced, None, launched=False).cost_seconds is None
    assert words in capsys.readouterr().err
    down = Operation(context=context, final_state=FinalState.STOP, explicit=True)
    assert down.session_request(unpriced, None, launched=False).cost_seconds is None
    assert capsys.readouterr().err == ""
