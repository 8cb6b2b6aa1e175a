"""One run from the lines about it: taken in the form that they have, or not at all; later words win."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import NOON

from ec2tasks.records.ledger import TEXT_LIMIT, line_values
from ec2tasks.records.run import STATES, began_by_id, fold, read_line, run_json
from ec2tasks.remote.job import new_job_id

JOB = "20261101-120000-1f4abcd"
BEGUN = {"job": JOB, "state": "begun", "began": NOON, "command": "make train", "type": "g5.xlarge"}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
NAMES = st.sampled_from(
    ["job", "state", "began", "ended", "code", "cost", "phases", "use", "clean", "command", "x"]
)


def said(*lines: Mapping[str, object]) -> list[dict[str, object]]:
    """The lines as they come back from the file."""
    return [read_line(json.loads(json.dumps(line_values(line)))) for line in lines]


def test_later_words_win_and_what_they_lack_stays() -> None:
    ended = {
        "job": JOB,
        "state": "ended",
        "code": 3,
        "began": NOON + timedelta(hours=1),
        "phases": {"ran": 9.5},
    }
    first = {**BEGUN, "phases": {"found": 2.0}}
    (run,) = fold(said(first, ended))
    assert (run.state, run.code, run.command, run.began) == ("ended", 3, "make train", NOON)
    assert run.phases == {"found": 2.0, "ran": 9.5}
    assert run_json(run)["began"] == "2026-11-01T12:00:00.000+00:00"


def test_the_newest_run_comes_first() -> None:
    later = {**BEGUN, "job": "20261102-000000-000aaaa", "began": NOON + timedelta(days=1)}
    assert [run.job for run in fold(said(BEGUN, later))] == [later["job"], JOB]


def test_a_job_that_never_began_is_of_the_time_in_its_id() -> None:
    (run,) = fold(said({"job": new_job_id(NOON), "state": "failed", "code": 125}))
    assert run.began == NOON
    assert began_by_id("of-another-form") is None
    assert fold(said({"job": "of-another-form", "state": "failed"})) == []


def test_a_clock_that_is_far_off_spoils_no_line() -> None:
    times = {name: datetime.fromtimestamp(0, tz=timezone.utc) for name in ("began", "ended")}
    (run,) = fold(said({**BEGUN, **times}))
    assert (run.began, run.ended) == (began_by_id(JOB), None)


@pytest.mark.parametrize(
    "broken",
    [
        {"job": "../../x"},
        {"job": None},
        {"state": "fine"},
        {"code": 256},
        {"code": True},
        {"cost": -1.0},
        {"cost": float("nan")},
        {"cost": "1"},
        {"began": "2026-11-01"},
        {"began": "9999-12-31T23:59:59+00:00"},
        {"began": 7},
        {"phases": {"ran": float("inf")}},
        {"phases": [1]},
        {"clean": "yes"},
        {"command": ["make"]},
        {"command": "x" * (TEXT_LIMIT + 2)},
        {"use": {"gpu": object}},
    ],
    ids=str,
)
def test_a_line_with_anything_of_another_form_is_broken(broken: dict[str, object]) -> None:
    line = line_values(BEGUN) | broken
    with pytest.raises(ValueError):  # noqa: PT011  # whatever is wrong with it
        read_line(line)


@given(st.lists(ANYTHING | st.dictionaries(NAMES, ANYTHING)))
def test_no_line_breaks_the_reading(lines: list[object]) -> None:
    good = []
    for line in lines:
        try:
            good.append(read_line(line))
        except ValueError:
            continue
    for run in fold(good):
        json.dumps(run_json(run), allow_nan=False)


@given(
    state=st.sampled_from(STATES),
    command=st.none() | st.text(),
    code=st.none() | st.integers(0, 255),
    cost=st.none() | st.floats(0, 1e6),
    phases=st.dictionaries(st.sampled_from(["found", "ran", "fetched"]), st.floats(0, 1e6)),
)
def test_what_is_written_is_what_is_read(
    state: str, command: str | None, code: int | None, cost: float | None, phases: dict[str, float]
) -> None:
    values = {"state": state, "command": command, "code": code, "cost": cost, "phases": phases}
    (run,) = fold(said({**BEGUN, "command": None, **values}))
    assert (run.state, run.command, run.code) == (state, command, code)
    assert run.cost == (None if cost is None else pytest.approx(cost, abs=1e-3))
    assert run.phases == pytest.approx(phases, abs=1e-3)
