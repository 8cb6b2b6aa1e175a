"""How long waits usually take, as this machine remembers them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.state import State
from ec2tasks.base.waits import FILE, KEPT, KINDS, Usual, read_waits, usual_seconds, with_one_more


@pytest.mark.parametrize(
    ("values", "waits"),
    [
        (None, {}),
        ({"ssh": [1, 2.5]}, {"ssh": [1.0, 2.5]}),
        ({"ssh": [1, "2", None, True, -1, 1e9, [3], 4]}, {"ssh": [1.0, 4.0]}),
        ({"ssh": "41", "aws": [], "guard": {"a": 1}}, {}),
        ({"ssh": list(range(20))}, {"ssh": [15.0, 16.0, 17.0, 18.0, 19.0]}),
    ],
)
def test_what_is_no_wait_is_left_out(values: dict[str, object] | None, waits: dict[str, list[float]]) -> None:
    assert read_waits(values) == waits


@given(
    st.dictionaries(st.text(max_size=3), st.lists(st.floats(0, 1000), min_size=1, max_size=8)),
    st.text(max_size=3),
    st.floats(0, 1e9),
)
def test_the_last_few_of_each_are_kept(waits: dict[str, list[float]], kind: str, seconds: float) -> None:
    known = with_one_more(waits, kind, seconds)
    assert len(known) <= KINDS
    assert len(known[kind]) <= KEPT
    assert list(known)[-1] == kind
    assert read_waits(json.loads(json.dumps(known)))[kind] == known[kind]


def test_the_kinds_that_were_waited_for_last_stay() -> None:
    waits: dict[str, list[float]] = {}
    for number in range(KINDS + 1):
        waits = with_one_more(waits, f"kind {number}", 1)
    assert "kind 0" not in waits
    assert len(waits) == KINDS


def test_one_long_wait_does_not_change_what_is_usual() -> None:
    waits: dict[str, list[float]] = {}
    assert usual_seconds(waits, "ssh") is None
    for seconds in (41, 40, 300, 42, 41):
        waits = with_one_more(waits, "ssh", seconds)
    assert usual_seconds(waits, "ssh") == 41


def test_a_file_that_is_broken_or_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    usual = Usual(state=State(folder=tmp_path / "state", sockets=tmp_path), kind="ssh")
    usual.add(41)  # there is no folder to keep it in
    assert usual.words() == ""
    (tmp_path / "state" / "seen").mkdir(parents=True)
    usual.add(41)
    assert usual.words() == " (usually 41 s)"
    (tmp_path / "state" / "seen" / FILE).write_text("{half")
    assert usual.words() == ""
