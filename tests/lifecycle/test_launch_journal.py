from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.state import State
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.launch_journal import TOKEN_LIFE, Entry, Place

PLACE = Place(key="k", account="a", region="eu-central-1", owner="kim", name="kim-shop")


def test_what_was_begun_stands_until_it_is_finished(state: State) -> None:
    entry = journal.begin(state, PLACE)
    assert journal.read(state, "k") == entry
    assert journal.entries(state) == [entry]
    journal.finish(state, "k")
    journal.finish(state, "k")
    assert (journal.read(state, "k"), journal.entries(state)) == (None, [])


def test_it_is_asked_for_again_with_the_same_token_for_a_while(state: State) -> None:
    first = journal.begin(state, PLACE, clock=lambda: 1000.0)
    assert journal.begin(state, PLACE, clock=lambda: 1000.0 + TOKEN_LIFE - 1) == first
    # Later, after a clock that was put back, and where it is known to be of no use, with another.
    for clock in (1000.0 + TOKEN_LIFE, 999.0):
        assert journal.begin(state, PLACE, clock=lambda clock=clock: clock).nonce != first.nonce  # type: ignore[misc]
        journal.finish(state, "k")
        first = journal.begin(state, PLACE, clock=lambda: 1000.0)
    assert journal.begin(state, PLACE, anew=True, clock=lambda: 1000.0).nonce != first.nonce


def test_it_is_on_the_disk_before_aws_is_asked(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    journal.begin(state, PLACE)
    folder = str(state.folder / "launches")
    assert [one.startswith(folder) for one in synced] == [True, True]
    assert synced[-1] == folder


@pytest.mark.parametrize("junk", ["", "half a fi", "[]", "{}", '{"place": {}, "nonce": 1, "began": "x"}'])
def test_junk_is_no_launch(junk: str, state: State) -> None:
    journal.begin(state, PLACE)
    (state.folder / "launches" / "k").write_text(junk)
    assert journal.entries(state) == []


def test_what_a_client_left_that_died_writing_is_swept_up(state: State) -> None:
    entry = journal.begin(state, PLACE)
    draft = state.folder / "launches" / ".k.123"
    draft.touch()
    journal.sweep(state)
    assert draft.exists()
    assert journal.entries(state) == [entry]
    journal.sweep(state, clock=lambda: time.time() + 2 * TOKEN_LIFE)
    assert (draft.exists(), journal.entries(state)) == (False, [entry])


REQUESTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4)


@given(REQUESTS, REQUESTS)
def test_a_token_is_that_of_one_request(one: dict[str, object], other: dict[str, object]) -> None:
    entry = Entry(place=PLACE, nonce="n" * 32, began=0.0)
    token = entry.token({**one, "ClientToken": "whatever"})
    assert len(token) <= 64
    assert token.isascii()
    assert entry.asked_for(token)
    assert (token == entry.token(other)) == ({**one, "ClientToken": ""} == {**other, "ClientToken": ""})


def test_a_launch_that_is_asked_for_again_names_the_prices_that_it_began_with(state: State) -> None:
    """They stand in the request: another one would be another launch to AWS."""
    first = journal.begin(state, PLACE, prices={"g5.xlarge@a": [1.26, 0.01]})
    assert journal.begin(state, PLACE, prices={"g5.xlarge@a": [1.3, 0.01]}) == first
    assert journal.begin(state, PLACE, anew=True).prices == {}
