from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace
from typing import cast

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.commands import fetch as fetch_module
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome, Results


def lease(pull_every: int = 60, *, spot: bool = False) -> Lease:
    context = SimpleNamespace(settings=SimpleNamespace(pull_every=pull_every))
    told = {"context": context, "instance": SimpleNamespace(spot=spot), "notice": None}
    return cast(Lease, SimpleNamespace(**told))


@pytest.mark.parametrize(
    ("error", "results", "end"),
    [
        (None, Results.FETCHED, End.COMPLETED),
        (Failure("the disk is full", hint="make room"), Results.MISSING, End.COMPLETED),
        (KeyboardInterrupt(), Results.MISSING, End.INTERRUPTED),
    ],
)
def test_a_fetch_tells_where_the_results_are_and_keeps_the_exit_code(
    error: BaseException | None,
    results: Results,
    end: End,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def move_files(*_args: object) -> None:
        if error:
            raise error

    monkeypatch.setattr(fetch_module, "move_files", move_files)
    outcome = fetch_module.fetch(lease(), Outcome(code=3), verbose=False)
    assert (outcome.code, outcome.results, outcome.end) == (3, results, end)
    assert ("the disk is full" in capsys.readouterr().err) == isinstance(error, Failure)


def fetching(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """A fetch that goes on until it is let go: events for its begin and its end."""
    begun, let_go = threading.Event(), threading.Event()

    def keep_fetching(_lease: Lease, _every: int, _over: threading.Event, _beside: object) -> None:
        begun.set()
        let_go.wait(60)

    monkeypatch.setattr(fetch_module, "_keep_fetching", keep_fetching)
    return begun, let_go


def test_a_job_that_is_left_running_does_not_wait_for_the_fetch_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, let_go = fetching(monkeypatch)

    def work() -> Outcome:
        begun.wait(60)
        return Outcome(end=End.DETACHED)

    assert fetch_module.while_fetching(lease(), work).left_running
    assert not let_go.is_set()
    let_go.set()


@pytest.mark.parametrize("error", [None, Failure("gone")])
def test_an_ended_job_waits_for_the_fetch_beside_it_and_so_does_an_error(
    error: Failure | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = fetching(monkeypatch)
    ended = threading.Event()

    def work() -> Outcome:
        begun.wait(60)
        if error:
            raise error
        return Outcome()

    def to_the_end() -> None:
        with contextlib.suppress(Failure):
            fetch_module.while_fetching(lease(), work)
        ended.set()

    thread = threading.Thread(target=to_the_end)
    thread.start()
    assert begun.wait(60)
    assert not ended.wait(0.2)
    let_go.set()
    assert ended.wait(60)
    thread.join()


def test_nothing_is_fetched_meanwhile_where_that_is_switched_off() -> None:
    assert fetch_module.while_fetching(lease(0), lambda: Outcome(code=5)).code == 5
