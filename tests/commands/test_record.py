"""What the ledger holds after each way in which a run can end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.values import INSTANCE, NOON, call_context

from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import State
from ec2tasks.commands.come_back import NeverBegunError
from ec2tasks.commands.record import Record
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import End, InstanceGoneError, Outcome, Results, SpotTakenError
from ec2tasks.lifecycle.release import unseen_values
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.records import kept
from ec2tasks.records.ledger import append
from ec2tasks.records.reading import read
from ec2tasks.records.run import Run
from ec2tasks.records.use import summary_of, use_values
from ec2tasks.remote.job import JobStatus, UnbegunJob

JOB = JobStatus(
    job_id="20261101-120000-1f4abcd",
    multi="none",
    final_state=FinalState.LEAVE,
    code=3,
    lost=False,
    restarted=False,
    terminal=False,
    fed=False,
    started=int(NOON.timestamp()),
    ended=int(NOON.timestamp()) + 3600,
    kept=(0, 0),
    command="make train",
)
DONE = Outcome(code=7, results=Results.FETCHED, released=FinalState.STOP)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """The record of a run in a project of its own, on an instance."""
    context = call_context(State(folder=tmp_path / "state", sockets=tmp_path))
    context = replace(context, project=replace(context.project, root=tmp_path))
    lease = Lease(operation=Operation(context=context))
    lease.acquired.instance = INSTANCE
    return Record(lease=lease, timings=Timings(), fetches=True, asked={"command": "make train"})


def written(record: Record, work: Callable[[], Outcome]) -> Run | None:
    """What the ledger holds of the run once this work has ended, however that was."""
    with contextlib.suppress(Failure, KeyboardInterrupt):
        record.of(work)
    return next(iter(read(record.root).runs), None)


def raising(error: BaseException) -> Callable[[], Outcome]:
    def work() -> Outcome:
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda: DONE, ("ended", 7, None)),
        (lambda: replace(DONE, code=0, results=Results.MISSING), ("ended", 125, None)),
        (lambda: Outcome(end=End.DETACHED), ("left", None, None)),
        (lambda: Outcome(end=End.LEFT_BY_INTERRUPT, code=130), ("left", None, None)),
        (raising(KeyboardInterrupt()), ("interrupted", 130, None)),
        (raising(InstanceGoneError("it is gone\nfor good")), ("failed", 125, "it is gone")),
        (raising(SpotTakenError("AWS took it")), ("failed", 125, "AWS took it")),
        (raising(Failure("SSH does not answer")), ("failed", 125, "SSH does not answer")),
    ],
)
def test_a_run_ends_in_the_ledger_as_it_ended(
    work: Callable[[], Outcome], expected: tuple[str, int | None, str | None], record: Record
) -> None:
    record.begun()
    run = written(record, work)
    assert run
    assert (run.state, run.code, run.error) == expected
    assert (run.job, run.command, run.type) == (record.job_id, "make train", "g5.xlarge")
    assert (run.cost is None) == (run.state == "left")
    assert len((record.root / ".ec2tasks" / "runs.jsonl").read_bytes().splitlines()) == 2


def test_a_failure_before_there_was_an_instance_is_one_too(record: Record) -> None:
    record.lease.acquired.instance = None
    run = written(record, raising(Failure("no capacity")))
    assert run
    assert (run.state, run.type, run.cost) == ("failed", "", None)


def test_who_comes_back_completes_the_line_of_who_began(record: Record) -> None:
    append(record.root, {"job": JOB.job_id, "state": "left", "began": NOON, "recipe": "train", "commit": "c"})
    record.comes_back = True
    record.came_back_to(JOB)
    run = written(record, lambda: replace(DONE, code=3))
    assert run
    assert (run.job, run.state, run.code, run.recipe) == (JOB.job_id, "ended", 3, "train")
    assert (run.commit, run.seconds, run.released) == ("c", 3600, "stop")
    assert run.cost == pytest.approx(1.26)  # up to the command's end: it ended long ago


@pytest.mark.parametrize("error", [Failure("SSH does not answer"), KeyboardInterrupt()])
def test_who_can_t_come_back_changes_nothing(error: BaseException, record: Record) -> None:
    record.comes_back = True
    assert written(record, raising(error)) is None
    record.came_back_to(JOB)
    assert written(record, raising(error)) is None
    gone = written(record, raising(InstanceGoneError("it is gone")))
    assert gone
    assert gone.state == "failed"


def test_a_job_that_never_began_failed(record: Record) -> None:
    record.comes_back = True
    never = NeverBegunError(UnbegunJob(job_id=JOB.job_id, final_state=None, coming=False))
    run = written(record, raising(never))
    assert run
    assert (run.job, run.state, run.code, run.began.hour) == (JOB.job_id, "failed", 125, 12)
    assert "never began" in str(run.error)


def test_a_job_that_ended_with_nobody_there_is_completed(tmp_path: Path) -> None:
    append(tmp_path, {"job": JOB.job_id, "state": "left", "began": NOON, "type": "g5.xlarge"})
    append(tmp_path, unseen_values(JOB))
    (run,) = read(tmp_path).runs
    assert (run.state, run.code, run.type, run.seconds) == ("ended", 3, "g5.xlarge", 3600)


def test_its_use_of_the_machine_is_kept_without_the_curves(record: Record) -> None:
    logs = record.root / ".ec2tasks" / "logs"
    logs.mkdir(parents=True)
    text = "".join(
        f"t={10 * i} cpu=0.25 memory=1/4 disk=1/8 network={i}/0 gpu=0.5,1,16,-,-\n" for i in range(1, 9)
    )
    (logs / f"{record.job_id}.samples").write_text(text)
    run = written(record, lambda: DONE)
    assert run
    assert run.use
    assert run.use == use_values(summary_of(kept.samples(record.root, record.job_id)))
    assert run.use["cpu"] == {"mean": 0.25, "peak": 0.25}
    shares = {"mean": 0.5, "peak": 0.5}
    gpu = {"utilisation": shares, "memory": {"mean": 1, "peak": 1}, "memory_total": 16}
    assert run.use["gpus"] == [gpu]
