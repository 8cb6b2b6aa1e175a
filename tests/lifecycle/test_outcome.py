from __future__ import annotations

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.lifecycle.outcome import End, InstanceGoneError, Outcome, Results, SpotTakenError, attempt
from ec2tasks.remote.job import LostJobError

MISSING, FETCHED, GIVEN_UP = Results


@pytest.mark.parametrize(
    ("outcome", "fetches", "code"),
    [
        (Outcome(code=3, results=FETCHED), True, 3),
        (Outcome(code=3, results=MISSING), True, 3),
        (Outcome(results=FETCHED), True, 0),
        (Outcome(results=MISSING), True, 125),
        (Outcome(results=MISSING, end=End.INTERRUPTED), True, 130),
        (Outcome(results=MISSING), False, 0),
        (Outcome(results=GIVEN_UP), True, 0),
        (Outcome(results=MISSING, end=End.DETACHED), True, 0),
        (Outcome(results=MISSING, end=End.LEFT_BY_INTERRUPT, code=130), True, 130),
    ],
)
def test_a_success_without_its_results_is_a_failure(outcome: Outcome, fetches: bool, code: int) -> None:
    assert outcome.exit_code(fetches=fetches) == code


@pytest.mark.parametrize(
    ("error", "end", "job_over"),
    [
        (KeyboardInterrupt(), End.INTERRUPTED, False),
        (Failure("no"), End.FAILED, False),
        (ZeroDivisionError(), End.FAILED, False),
        (LostJobError("restarted"), End.FAILED, True),
        (InstanceGoneError("stopped"), End.FAILED, False),
        (InstanceGoneError("gone", terminated=True), End.GONE, False),
        (SpotTakenError("taken", terminated=True), End.GONE, False),
    ],
)
def test_an_error_becomes_an_outcome_that_holds_it(error: BaseException, end: End, job_over: bool) -> None:
    def work() -> Outcome:
        raise error

    outcome = attempt(work, results=GIVEN_UP)
    assert (outcome.end, outcome.results, outcome.job_over) == (end, GIVEN_UP, job_over)
    assert outcome.failure is error


@pytest.mark.parametrize("end", End)
def test_a_job_that_was_left_running_is_not_over(end: End) -> None:
    outcome = attempt(lambda: Outcome(end=end, code=7))
    assert outcome == Outcome(end=end, code=7)
    assert outcome.left_running == (end in (End.DETACHED, End.LEFT_BY_INTERRUPT))
    assert not (outcome.left_running and outcome.job_over)
