"""By which forms a job is named, and which job a form names."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import UsageError
from ec2tasks.remote.job import new_job_id
from ec2tasks.remote.job_name import (
    LISTED,
    Named,
    asked_at,
    fitting,
    forms,
    lines,
    pick,
    short_forms,
    short_title,
    title_of,
)

UTC = timezone.utc
AHEAD = timezone(timedelta(hours=2))  # whose day begins while UTC's still goes on


def job(job_id: str, title: str = "make train", *, running: bool = False) -> Named:
    return Named(job_id=job_id, title=title, running=running)


SERVE = job("20261129-091203-1f4abcd", "make serve", running=True)
TRAIN = job("20261129-091240-0000001")
EARLIER = job("20261128-091240-0000002", "make train EPOCHS=3")
BOOK = job("20261128-101500-0000003", "notebook")
SHELL = job("odd", "(shell)")
ALL = [SERVE, TRAIN, EARLIER, BOOK, SHELL]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0912", [SERVE]),  # of three, the one that runs
        ("09:12", [SERVE]),
        ("091203", [SERVE]),
        ("09:12:40", [TRAIN, EARLIER]),
        ("1129-091240", [TRAIN]),
        ("1128-0912", [EARLIER]),
        ("1015", [BOOK]),
        ("20261129-0912", [SERVE]),
        ("20261128", [EARLIER, BOOK]),
        (TRAIN.job_id, [TRAIN]),
        ("serve", [SERVE]),
        ("train", [TRAIN, EARLIER]),
        ("EPOCHS=3", [EARLIER]),
        ("notebook", [BOOK]),
        ("shell", [SHELL]),
        ("odd", [SHELL]),
        ("serv", []),  # a word, not a part of one
        ("0913", []),
        ("12", []),
    ],
)
def test_what_names_a_job(text: str, found: list[Named]) -> None:
    assert fitting(ALL, text, UTC) == found


def test_each_job_has_the_shortest_form_that_is_its_own() -> None:
    assert short_forms(ALL, UTC) == {
        SERVE.job_id: "0912",
        TRAIN.job_id: "1129-091240",
        EARLIER.job_id: "1128-0912",
        BOOK.job_id: "1015",
        SHELL.job_id: "odd",
    }


def test_times_are_of_the_day_here() -> None:
    assert forms("20261129-231500-0000001", AHEAD)[:3] == ["0115", "011500", "1130-0115"]


jobs_of_any_time = st.lists(
    st.builds(
        lambda moment, running: job(new_job_id(moment), running=running),
        st.one_of(
            st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1)),
            # Close together, and on the same minute of several days.
            st.builds(
                lambda day, second: datetime(2026, 11, 1, 9) + timedelta(days=day, seconds=second),
                st.integers(min_value=0, max_value=3),
                st.integers(min_value=0, max_value=90),
            ),
        ).map(lambda moment: moment.replace(tzinfo=UTC)),
        st.booleans(),
    ),
    max_size=8,
)


@given(jobs_of_any_time, st.sampled_from([UTC, AHEAD]))
def test_the_form_that_is_shown_names_that_job_alone(jobs: list[Named], zone: timezone) -> None:
    names = short_forms(jobs, zone)
    for one in jobs:
        assert fitting(jobs, names[one.job_id], zone) == [one]
        assert fitting(jobs, one.job_id, zone) == [one]


@given(st.text(alphabet="0123456789abcdef-", max_size=30))
def test_an_id_of_any_form_has_a_name(job_id: str) -> None:
    assert forms(job_id)[-1] == job_id
    assert asked_at(job_id) is None or forms(job_id)[0].isdigit()


def test_one_that_is_not_clear_lists_what_it_may_be() -> None:
    with pytest.raises(UsageError, match=r"`train` names 2 jobs") as error:
        pick(ALL, "train")
    assert [line.split()[1:3] for line in error.value.lines] == [["make", "train"]] * 2
    with pytest.raises(UsageError, match="no run `nothing`"):
        pick(ALL, "nothing", what="run", task="runs")


def test_a_long_list_is_cut() -> None:
    many = [job(new_job_id(datetime(2026, 1, 1, 0, number, tzinfo=UTC))) for number in range(LISTED + 2)]
    assert lines(many, among=many)[-1] == "and 2 more"


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (None, "(shell)"),
        ("make  train\n", "make train"),
        ("# notebook\nlook() {\n", "notebook"),
        ("#\nmake train", "# make train"),
        ("echo '# no heading'", "echo '# no heading'"),
    ],
)
def test_what_runs_in_one_line(command: str | None, title: str) -> None:
    assert title_of(command) == title


def test_a_long_title_is_cut() -> None:
    assert short_title("x" * 100, 10) == "x" * 9 + "…"
