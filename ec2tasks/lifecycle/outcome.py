"""How the work of an operation went, as one value that each step returns and the release reads."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import FAILURE_CODE, INTERRUPTED_CODE, Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.remote.job import LostJobError


class InstanceGoneError(Failure):
    """The instance ended under the work; `terminated`: its disk is gone too, so nothing is left to fetch."""

    def __init__(self, what: str, *, hint: str | None = None, terminated: bool = False) -> None:
        super().__init__(what, hint=hint)
        self.terminated = terminated


class SpotTakenError(InstanceGoneError):
    """AWS has taken the spot instance back, as it may; `cost`: what the operation has cost, in dollars."""

    cost: float | None = None


class Results(Enum):
    """Where the results are; MISSING: some may be on the instance alone."""

    MISSING = "missing"
    FETCHED = "fetched"
    GIVEN_UP = "given up"


class End(Enum):
    """How the work on the instance came to its end."""

    COMPLETED = "completed"
    DETACHED = "detached"  # a job was left running, as asked
    LEFT_BY_INTERRUPT = "left by interrupt"  # a job was left running, by a second Ctrl-C
    INTERRUPTED = "interrupted"  # Ctrl-C ended what was under way
    FAILED = "failed"
    GONE = "gone"  # the instance was terminated under it


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the work went: its end, the job's exit code, where the results are.

    `final_state`: the one that was asked for when the job began, where this operation asks for none.
    `failure`: the error to raise once the instance is released. `released`: what became of the instance, None
    where it was not this operation's to decide.
    """

    end: End = End.COMPLETED
    code: int = 0
    results: Results = Results.MISSING
    final_state: FinalState | None = None
    failure: BaseException | None = None
    released: FinalState | None = None

    @property
    def left_running(self) -> bool:
        """Whether a job was left running on the instance."""
        return self.end in (End.DETACHED, End.LEFT_BY_INTERRUPT)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C had a part in it."""
        return self.end in (End.INTERRUPTED, End.LEFT_BY_INTERRUPT)

    @property
    def job_over(self) -> bool:
        """Whether the job has ended, or was lost: one whose end was not seen may still make results."""
        return not self.left_running and (self.failure is None or isinstance(self.failure, LostJobError))

    def exit_code(self, *, fetches: bool) -> int:
        """The job's own exit code; where results were to be fetched and are not here, that is a failure."""
        if self.code or self.results is not Results.MISSING or self.left_running or not fetches:
            return self.code
        return INTERRUPTED_CODE if self.interrupted else FAILURE_CODE


def attempt(work: Callable[[], Outcome], *, results: Results = Results.MISSING) -> Outcome:
    """Do the work; an error becomes an outcome that holds it, with `results` as the state of the results."""
    try:
        return work()
    except BaseException as error:  # noqa: BLE001  # kept whole, and raised after the instance's release
        return Outcome(end=_end_by(error), results=results, failure=error)


def _end_by(error: BaseException) -> End:
    if isinstance(error, KeyboardInterrupt):
        return End.INTERRUPTED
    return End.GONE if isinstance(error, InstanceGoneError) and error.terminated else End.FAILED
