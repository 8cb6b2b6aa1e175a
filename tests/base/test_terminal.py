from __future__ import annotations

import pytest

from ec2tasks.base.terminal import shares_terminal


@pytest.mark.parametrize(
    ("makeflags", "shared"),
    [
        ("", False),
        ("k -- EPOCHS=3", False),
        ("-j4 --jobserver-auth=3,4", True),
        (" -j4 --jobserver-auth=fifo:/tmp/GMfifo1 -- A=1", True),
        ("--jobserver-fds=3,4 -j", True),
    ],
)
def test_in_a_parallel_make_the_terminal_is_for_all_recipes(makeflags: str, shared: bool) -> None:
    assert shares_terminal({"MAKEFLAGS": makeflags}) is shared
