"""What a job used, at its end: asked for where it ran long enough, kept as numbers, said in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.base.state import State
from ec2tasks.commands import use as use_module
from ec2tasks.commands import watch_use
from ec2tasks.commands.use import JobUse, samples_path
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome
from ec2tasks.lifecycle.timing import Timings

LINE = "t={} cpu=0.25 memory=4/16 disk=5/50 network=7/8\n"
OVER, LEFT = Outcome(), Outcome(end=End.DETACHED)


def job_use(root: Path) -> JobUse:
    aws = SimpleNamespace(region="eu-central-1", endpoint=SimpleNamespace(name="aws"))
    state = State(folder=root, sockets=root)
    context = SimpleNamespace(project=SimpleNamespace(root=root), tools=None, aws=aws, state=state)
    instance = SimpleNamespace(type="g4dn.xlarge")
    lease = SimpleNamespace(context=context, host=None, instance=instance, cost=lambda: 0.5)
    return JobUse(lease=cast(Lease, lease), job_id="j")


def says(monkeypatch: pytest.MonkeyPatch, answer: str | Failure) -> list[str]:
    """What the instance says of a job; the jobs that it is asked for."""
    asked: list[str] = []

    def fetch_samples(_host: object, job_id: str, _tools: object) -> str:
        asked.append(job_id)
        if isinstance(answer, Failure):
            raise answer
        return answer

    monkeypatch.setattr(use_module, "fetch_samples", fetch_samples)
    return asked


def test_it_is_kept_as_numbers_alone_and_said_with_the_phases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = says(monkeypatch, LINE.format(50) + "\x1b]0;mine\x07\n" + LINE.format(70))
    use = job_use(tmp_path)
    use.fetch(OVER, ran=80)
    use.say_end(OVER, Timings(seconds={"ran": 80}))
    assert asked == ["j"]
    assert samples_path(tmp_path, "j").read_text() == LINE.format(50) + LINE.format(70)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "ec2: cpu ▃▃ 25 % · memory 0 of 0 GB · 1 min · ≈ $0.50"
    assert second == "ec2: ran 1 min · cost ≈ $0.50"


@pytest.mark.parametrize(("ran", "outcome"), [(59, OVER), (80, LEFT), (80, Outcome(failure=Failure("gone")))])
def test_a_short_job_one_that_goes_on_and_one_that_is_gone_are_not_asked(
    ran: float, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = says(monkeypatch, LINE.format(50))
    job_use(tmp_path).fetch(outcome, ran=ran)
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", ["ec2: ran 1 min · cost ≈ $0.50"]),
        ("nonsense", ["ec2: ran 1 min · cost ≈ $0.50"]),
        (
            Failure("no answer"),
            [
                "ec2: what the job used of its machine could not be fetched: no answer",
                "ec2: ran 1 min · cost ≈ $0.50",
            ],
        ),
    ],
)
def test_what_can_t_be_had_is_no_error(
    answer: str | Failure,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    says(monkeypatch, answer)
    use = job_use(tmp_path)
    use.fetch(OVER, ran=80)
    use.say_end(OVER, Timings(seconds={"ran": 80}))
    assert capsys.readouterr().err.splitlines() == said


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.write_bytes(b"\xff\n" + LINE.format(7).encode())]
)
def test_kept_samples_that_a_clone_brings_along_are_somebody_else_s(
    make: Callable[[Path], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_instance(_context: object) -> None:
        raise Failure("no instance `shop`")

    monkeypatch.setattr(watch_use, "all_jobs", no_instance)
    path = samples_path(tmp_path, "j")
    path.parent.mkdir()
    make(path)
    context = SimpleNamespace(project=SimpleNamespace(root=tmp_path))
    watch_use.show_use(cast(CallContext, context), "", follow=False, as_json=True)
    use = json.loads(capsys.readouterr().out)["use"]
    assert (use and use["count"]) == (None if path.is_fifo() else 1)


def test_a_short_run_whose_samples_came_before_its_end_has_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says(monkeypatch, LINE.format(20))
    use = job_use(tmp_path)
    use.keep()
    use.fetch(OVER, ran=30)
    use.say_end(OVER, Timings(seconds={"ran": 30}))
    assert capsys.readouterr().err == "ec2: ran 30 s · cost ≈ $0.50\n"
    assert samples_path(tmp_path, "j").read_text() == LINE.format(20)
