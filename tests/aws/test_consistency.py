from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from support.values import client_error

from ec2tasks.aws.consistency import LIMIT, PAUSES, JustMade

UNKNOWN_PROFILE = (
    "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
)


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def missing(name: str, code: str = "InvalidGroup.NotFound") -> ClientError:
    return client_error(code, f"The thing '{name}' does not exist")


def shown_after(clock: Clock, seconds: float, error: Exception) -> Callable[[], str]:
    def action() -> str:
        if clock.now < seconds:
            raise error
        return "shown"

    return action


def test_the_tries_last_as_long_as_aws_says_it_may_take() -> None:
    assert sum(PAUSES) == LIMIT


@pytest.mark.parametrize(
    "error",
    [
        missing("sg-1"),
        missing("sg-1", "InvalidKeyPair.NotFound"),
        missing("sg-1", "InvalidInstanceID.NotFound"),
        missing("sg-1", "NoSuchEntity"),
        client_error("InvalidParameterValue", UNKNOWN_PROFILE.replace("x", "sg-1")),
    ],
)
@given(seconds=st.floats(0, LIMIT - 20))
def test_what_was_just_made_is_asked_for_until_it_shows(error: Exception, seconds: float) -> None:
    clock = Clock()
    made = JustMade(clock=clock)
    made.add("sg-1")
    assert made.ask(shown_after(clock, seconds, error), sleep=clock.sleep) == "shown"
    assert clock.now >= seconds


def test_what_never_shows_ends_in_aws_s_error() -> None:
    clock = Clock()
    made = JustMade(clock=clock)
    made.add("sg-1")
    with pytest.raises(ClientError, match="sg-1"):
        made.ask(shown_after(clock, LIMIT * 9, missing("sg-1")), sleep=clock.sleep)
    assert clock.now == LIMIT


@pytest.mark.parametrize(
    "error",
    [
        missing("sg-2"),
        missing("sg-11"),
        missing("xsg-1"),
        missing("sg-1", "UnauthorizedOperation"),
        client_error("InvalidParameterValue", "Invalid value 'sg-1' for InstanceType."),
        OSError("sg-1"),
    ],
)
def test_nothing_else_is_asked_for_again(error: Exception) -> None:
    clock = Clock()
    made = JustMade(clock=clock)
    made.add("sg-1")
    with pytest.raises(type(error)):
        made.ask(shown_after(clock, 1, error), sleep=clock.sleep)
    assert clock.now == 0


def test_what_was_made_long_ago_is_not_just_made() -> None:
    made = JustMade(clock=Clock())
    made.add("old", age=LIMIT)
    made.add("young", age=LIMIT - 1)
    assert not made.explains(missing("old"))
    assert made.explains(missing("young"))


def test_that_it_is_waited_for_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    made = JustMade(clock=clock)
    made.add("sg-1")
    made.ask(shown_after(clock, 30, missing("sg-1")), sleep=clock.sleep)
    assert capsys.readouterr().err.count("AWS does not know sg-1 everywhere yet: asking again") == 1


def test_an_instance_is_known_as_it_was_launched_for_as_long_as_it_may_not_show() -> None:
    clock = Clock()
    made = JustMade(clock=clock)
    made.add_instance({"InstanceId": "i-1", "State": {"Name": "pending"}})
    assert made.instance("i-1") == {"InstanceId": "i-1", "State": {"Name": "pending"}}
    assert made.instance("i-2") is None
    clock.sleep(LIMIT)
    assert made.instance("i-1") is None
