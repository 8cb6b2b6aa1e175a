from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from ec2tasks.base.retry import retry, ticks


@dataclass
class FakeClock:
    """A clock that only sleeping moves on."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Failing:
    """An action that raises these errors one after the other, then returns how often it was tried."""

    errors: list[Exception]
    tries: int = 0

    def __call__(self) -> int:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.tries


@pytest.mark.parametrize(
    ("every", "limit", "elapsed"),
    [(1.0, 3.0, [0, 1, 2, 3]), (2.0, 3.0, [0, 2]), (0.5, 0.0, [0]), (5.0, 3.0, [0])],
)
def test_a_poll_never_sleeps_beyond_its_limit(every: float, limit: float, elapsed: list[float]) -> None:
    clock = FakeClock()
    assert list(ticks(every=every, limit=limit, sleep=clock.sleep, clock=clock)) == elapsed
    assert clock.slept == [every] * (len(elapsed) - 1)


def test_a_poll_counts_the_time_that_asking_takes() -> None:
    clock, asked = FakeClock(), 0  # at 0, 5 and 10
    for _ in ticks(every=1.0, limit=10.0, sleep=clock.sleep, clock=clock):
        asked += 1
        clock.now += 4.0
    assert asked == 3


def test_a_poll_without_a_limit_goes_on() -> None:
    clock = FakeClock()
    poll = ticks(every=1.0, sleep=clock.sleep, clock=clock)
    assert list(itertools.islice(poll, 1000))[-1] == 999.0


def test_an_answer_ends_a_poll_without_another_pause() -> None:
    clock = FakeClock()
    for elapsed in ticks(every=1.0, sleep=clock.sleep, clock=clock):
        if elapsed == 2.0:
            break
    assert clock.slept == [1.0, 1.0]


@pytest.mark.parametrize("fails", [0, 1, 3])
def test_what_passes_is_tried_again(fails: int) -> None:
    clock, action = FakeClock(), Failing([OSError()] * fails)
    assert retry(action, on=lambda _error: True, pauses=(1, 2, 4), sleep=clock.sleep) == fails + 1
    assert clock.slept == [1, 2, 4][:fails]


def test_the_last_error_is_raised_without_a_pause() -> None:
    clock, action = FakeClock(), Failing([OSError("first"), OSError("second")])
    with pytest.raises(OSError, match="second"):
        retry(action, on=lambda _error: True, pauses=(1,), sleep=clock.sleep)
    assert clock.slept == [1]


def test_what_does_not_pass_is_raised_at_once() -> None:
    clock, action = FakeClock(), Failing([OSError(), ValueError("no")])
    with pytest.raises(ValueError, match="no"):
        retry(action, on=lambda error: isinstance(error, OSError), pauses=(1, 2, 4), sleep=clock.sleep)
    assert (clock.slept, action.tries) == ([1], 2)
