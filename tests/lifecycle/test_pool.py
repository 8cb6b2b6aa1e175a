"""Which machine of a pool a run takes."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, call_context

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.base import hints
from ec2tasks.base.state import State, write_cached
from ec2tasks.lifecycle.instance_cache import as_json
from ec2tasks.lifecycle.pool import CLOSED, Pool, order

FULL = NoCapacityError("EC2 grants no instance")


@pytest.fixture
def pool(state: State) -> Pool:
    return Pool(context=call_context(state, name="shop"), size=3, clock=lambda: 1000.0)


def launched(pool: Pool, *numbers: int) -> None:
    for number in numbers:
        machine = pool.machine(number)
        seen = replace(INSTANCE, name=machine.settings.name)
        write_cached(machine.state, machine.key, as_json(seen))


def take(pool: Pool, stack: contextlib.ExitStack, refused: NoCapacityError | None = None) -> str:
    return stack.enter_context(pool.taken(refused)).settings.name


@given(st.sets(st.integers(1, 9)), st.integers(1, 9), st.booleans())
def test_those_that_are_there_come_first_and_each_once(granted: set[int], size: int, launches: bool) -> None:
    numbers = order(granted, size, launches=launches)
    there = [number for number in numbers if number in granted]
    assert numbers[: len(there)] == there == sorted(number for number in granted if number <= size)
    assert sorted(numbers) == (list(range(1, size + 1)) if launches else there)


def test_each_run_takes_another_machine_and_the_running_one_first(pool: Pool) -> None:
    launched(pool, 2)
    with contextlib.ExitStack() as stack:
        assert [take(pool, stack) for _ in range(3)] == ["shop-2", "shop-1", "shop-3"]
    with contextlib.ExitStack() as stack:
        assert take(pool, stack) == "shop-2"


def test_once_one_is_refused_a_run_waits_for_those_that_are_there(pool: Pool) -> None:
    launched(pool, 1, 2, 3)
    pool.close(pool.machine(3))  # what AWS refuses is not there, whatever was remembered
    assert pool.granted() == [1, 2]
    assert not pool.launches
    assert replace(pool, clock=lambda: 1000.0 + CLOSED).launches
    assert replace(pool, clock=lambda: 1.0).launches  # a wrong clock wrote it
    with contextlib.ExitStack() as first:
        assert take(pool, first, FULL) == "shop-1"
        with contextlib.ExitStack() as second:
            assert take(pool, second, FULL) == "shop-2"


def test_where_none_is_left_to_wait_for_the_refusal_is_the_answer(pool: Pool) -> None:
    pool.close(pool.machine(1))
    with contextlib.ExitStack() as stack, pytest.raises(NoCapacityError):
        take(pool, stack, FULL)
    with contextlib.ExitStack() as stack:
        assert take(pool, stack) == "shop-1"  # a call that has not asked yet may ask


def test_the_free_ones_are_those_that_no_run_has(pool: Pool) -> None:
    with pool.taken():
        assert [machine.settings.name for machine in pool.free()] == ["shop-2", "shop-3"]
    assert len(pool.free()) == 3


def test_hints_name_the_machine(pool: Pool) -> None:
    with pool.taken():
        assert hints.complete("`ec2tasks down` ends it") == "`ec2tasks down --name shop-1` ends it"
    assert hints.complete("`ec2tasks down` ends it") == "`ec2tasks down` ends it"
