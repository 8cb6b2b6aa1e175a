"""Which job is cancelled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.values import job_status

from ec2tasks.base.errors import UsageError
from ec2tasks.commands.cancel import job_to_cancel
from ec2tasks.remote.job import JobStatus

SERVE = job_status("20261129-091203-1f4abcd")
TRAIN = replace(SERVE, job_id="20261129-101203-1f4abcd", command="make train")
ENDED = replace(SERVE, job_id="20261129-111203-1f4abcd", code=0)
LOST = replace(SERVE, job_id="20261129-121203-1f4abcd", lost=True)


@pytest.mark.parametrize(
    ("listed", "wanted", "job"),
    [
        ([], "", None),
        ([ENDED, LOST], "", None),
        ([ENDED, SERVE, LOST], "", SERVE),
        ([ENDED, SERVE], "serve", SERVE),  # the one that runs
        ([ENDED, SERVE], ENDED.job_id, ENDED),
        ([ENDED, TRAIN, SERVE], "train", TRAIN),
    ],
)
def test_which_job_is_meant(listed: list[JobStatus], wanted: str, job: JobStatus | None) -> None:
    assert job_to_cancel(listed, wanted) is job


def test_of_several_that_run_none_is_ended_unasked() -> None:
    with pytest.raises(UsageError, match="2 commands run on the instance") as error:
        job_to_cancel([TRAIN, ENDED, SERVE], "")
    assert [line.split()[-1] for line in error.value.lines] == ["train", "serve"]
    assert error.value.hint
    assert error.value.hint.startswith(f"`ec2tasks cancel {error.value.lines[0].split()[0]}`")
