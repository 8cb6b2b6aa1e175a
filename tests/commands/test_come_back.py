"""Which of the jobs that never began was wanted last, and what this machine remembers of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import State
from ec2tasks.commands.come_back import later
from ec2tasks.lifecycle import wanted_job
from ec2tasks.remote.job import UnbegunJob

UNBEGUN = st.none() | st.builds(
    UnbegunJob,
    job_id=st.sampled_from(["20261101-120000-a", "20261101-120000-b", "20261102-090000-a"]),
    final_state=st.none() | st.sampled_from(FinalState),
    coming=st.booleans(),
)


@given(UNBEGUN, UNBEGUN)
def test_the_later_one_counts_and_a_client_that_either_side_sees_is_there(
    there: UnbegunJob | None, here: UnbegunJob | None
) -> None:
    found, both = later(there, here), [one for one in (there, here) if one]
    assert (found.job_id if found else None) == max((one.job_id for one in both), default=None)
    if found:
        assert found.coming == any(one.coming for one in both if one.job_id == found.job_id)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(folder=tmp_path, sockets=tmp_path)


def test_a_wanted_job_is_remembered_until_it_has_begun(state: State) -> None:
    assert wanted_job.read(state, "k") is None
    with wanted_job.wanted(state, "k", "1", FinalState.STOP):
        assert wanted_job.read(state, "k") == UnbegunJob(job_id="1", final_state=FinalState.STOP, coming=True)
    assert wanted_job.read(state, "k") == UnbegunJob(job_id="1", final_state=FinalState.STOP, coming=False)
    assert wanted_job.read(state, "other") is None
    wanted_job.has_begun(state, "k", "another")
    assert wanted_job.read(state, "k")
    wanted_job.has_begun(state, "k", "1")
    assert wanted_job.read(state, "k") is None


def test_of_two_that_are_wanted_the_later_is_remembered(state: State) -> None:
    with wanted_job.wanted(state, "k", "1", None), wanted_job.wanted(state, "k", "2", None):
        wanted_job.has_begun(state, "k", "1")
        found = wanted_job.read(state, "k")
    assert found == UnbegunJob(job_id="2", final_state=None, coming=True)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"job": "1", "final_state": "burn"}', "null", "\xff"])
def test_what_cannot_be_read_is_nothing_that_was_wanted(state: State, text: str) -> None:
    (state.folder / "seen").mkdir()
    (state.folder / "seen" / "wanted-k").write_text(text)
    assert wanted_job.read(state, "k") is None


def test_a_state_that_takes_nothing_keeps_no_run_from_going_on(state: State) -> None:
    (state.folder / "seen").write_text("no folder")
    with wanted_job.wanted(state, "k", "1", None):
        assert wanted_job.read(state, "k") is None
