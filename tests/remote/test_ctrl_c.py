from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.remote.ctrl_c import InterruptKeys


@given(st.lists(st.sampled_from([b"\x03", b"a", b"\x03a", b"\x03\x03b"])))
def test_two_ctrl_c_in_a_row_and_nothing_else_leave(parts: list[bytes]) -> None:
    presses, passed, left = InterruptKeys(), b"", False
    for part in parts:
        keys, left = presses.upto_detach(part)
        passed += keys
        if left:
            break
    whole = b"".join(parts)
    first = whole.find(b"\x03\x03")
    assert (passed, left) == ((whole[: first + 1], True) if first >= 0 else (whole, False))
