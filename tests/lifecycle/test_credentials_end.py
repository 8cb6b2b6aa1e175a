"""What is said of credentials that end before the run can, and of those that have."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import NOON

from ec2tasks.aws.credential_errors import EndedError
from ec2tasks.lifecycle.credentials_end import end_words, ended_words

SECONDS = st.integers(min_value=1, max_value=10**6)


@given(SECONDS, st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**5))
def test_only_an_end_before_the_run_s_own_is_told(left: int, longest: int, idle: int) -> None:
    words = end_words(NOON + timedelta(seconds=left), NOON, max_seconds=longest, idle_stop=idle)
    assert bool(words) == (longest == 0 or left < longest)


def test_an_end_that_nobody_knows_is_not_told() -> None:
    assert end_words(None, NOON, max_seconds=0, idle_stop=1800) is None


def test_it_says_when_and_what_becomes_of_the_instance() -> None:
    words = end_words(NOON + timedelta(minutes=55), NOON, max_seconds=8 * 3600, idle_stop=1800)
    assert words
    assert "in 55 min, and max_hours is 8 h: a longer run goes on and its results come here" in words
    assert words.endswith("30 min after the last one has left it (idle_stop)")


@pytest.mark.parametrize(("idle", "says"), [(600, "10 min after the last one"), (0, "it runs until you do")])
def test_an_instance_that_can_t_be_ended_from_here_is_left_to_its_guard(idle: int, says: str) -> None:
    reason, hint = ended_words(EndedError("the login has ended", hint="`aws sso login`"), idle)
    assert "(the login has ended)" in reason
    assert says in reason
    of_keys, _ = ended_words(EndedError("the AWS credentials have ended", hint="x"), idle)
    assert of_keys.startswith("your AWS credentials have ended; its guard ends it")
    assert hint == "`aws sso login`; with new credentials, `ec2tasks down` ends it at once"
