from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.final_state import FinalState
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
