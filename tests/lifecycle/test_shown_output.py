"""How far a job's output has been shown here, across clients that come, go and are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ec2tasks.base.state import State
from ec2tasks.lifecycle import shown_output
from ec2tasks.lifecycle.shown_output import START, kept, shown
from ec2tasks.remote.job import new_job_id

OFFSETS = st.tuples(*[st.integers(min_value=0, max_value=1 << 60)] * 2)


@pytest.fixture
def state(tmp_path: Path) -> State:
    folder = tmp_path / "a" / "state"
    folder.mkdir(parents=True)
    return State(folder=folder, sockets=folder)


@given(st.lists(OFFSETS, min_size=1))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_shown_last_is_known(state: State, parts: list[tuple[int, int]]) -> None:
    with kept(state, "1") as keep:
        for offsets in parts:
            keep(offsets)
            assert shown(state, "1") == offsets
    assert shown(state, "1") == parts[-1]
    assert shown(state, "2") == START


def test_a_client_that_is_killed_has_kept_it(state: State) -> None:
    child = os.fork()
    if not child:
        with kept(state, "1") as keep:
            keep((4096, 7))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert shown(state, "1") == (4096, 7)


@pytest.mark.parametrize("job_id", ["../../evil", "..", ".", "", "a/b", "a\n", "x" * 300, "~", "a\0b"])
def test_a_job_s_name_reaches_no_other_file(state: State, tmp_path: Path, job_id: str) -> None:
    with kept(state, job_id) as keep:
        keep((1, 2))
    assert [path for path in (tmp_path / "a").rglob("*") if path != state.folder] == []
    assert shown(state, job_id) == START


def test_a_state_that_takes_nothing_shows_it_all_again(state: State) -> None:
    (state.folder / "shown").write_text("no folder")
    with kept(state, "1") as keep:
        keep((1, 2))
    assert shown(state, "1") == START


@pytest.mark.parametrize("text", ["", "1", "1 2 3", "one two", "\xe9 1"])
def test_what_cannot_be_read_is_nothing_shown(state: State, text: str) -> None:
    (state.folder / "shown").mkdir()
    (state.folder / "shown" / "1").write_text(text)
    assert shown(state, "1") == START


def test_what_was_kept_of_old_jobs_goes(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_output, "KEPT", 3)
    for number in range(9):
        with kept(state, f"2026110{number}-1") as keep:
            keep((number, 0))
    last = new_job_id()
    with kept(state, last) as keep:
        keep((1, 1))
    names = sorted(path.name for path in (state.folder / "shown").iterdir())
    assert names == ["20261107-1", "20261108-1", last]
