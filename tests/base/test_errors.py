from __future__ import annotations

import pytest

from ec2tasks.base.errors import CommandFailed, Failure, UsageError


@pytest.mark.parametrize(("kind", "code"), [(Failure, 125), (UsageError, 2)])
def test_a_failure_is_what_happened_and_what_to_type(kind: type[Failure], code: int) -> None:
    error = kind("`x` is gone", hint="get another")
    assert (error.code, error.message) == (code, "ec2tasks: `x` is gone\nhint: get another")
    assert kind("`x` is gone").message == "ec2tasks: `x` is gone"


def test_a_command_s_own_failure_says_nothing_more() -> None:
    error = CommandFailed(7)
    assert error.code == 7
    assert not error.message
