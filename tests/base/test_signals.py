from __future__ import annotations

import os
import signal

import pytest

from ec2tasks.base.signals import INTERRUPTS, deferred, handled, uninterrupted


@pytest.mark.parametrize("number", INTERRUPTS)
def test_a_signal_is_handled_inside_and_as_before_afterwards(number: signal.Signals) -> None:
    before, calls = signal.getsignal(number), list[None]()
    with handled([number], lambda: calls.append(None)):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert len(calls) == 2
    assert signal.getsignal(number) is before


def test_the_earlier_handler_is_restored_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), handled(INTERRUPTS, lambda: None):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_what_must_not_be_interrupted_is_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ctrl_c_ends_a_pause_in_what_puts_it_off() -> None:
    steps = []

    def work() -> None:
        with deferred() as pause:
            pause(0)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("not yet")
            pause(3600)
            steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["not yet"]


def test_a_ctrl_c_put_off_comes_once_all_is_done() -> None:
    steps = []

    def work(*, interrupted: bool) -> None:
        with deferred():
            if interrupted:
                os.kill(os.getpid(), signal.SIGINT)
            steps.append(interrupted)

    work(interrupted=False)
    with pytest.raises(KeyboardInterrupt):
        work(interrupted=True)
    assert steps == [False, True]
