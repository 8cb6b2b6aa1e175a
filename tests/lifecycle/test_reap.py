from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.repository import REPO
from support.values import INSTANCE, every_field

from ec2tasks.aws.instances import ALIVE, Instance
from ec2tasks.lifecycle.reap import ReapFacts, judge

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
WEEK = 7 * 86400
CASES = yaml.safe_load((REPO / "tests" / "cases" / "reap.yaml").read_text(encoding="utf-8"))


def like(**changes: Any) -> Instance:
    return dataclasses.replace(INSTANCE, **changes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_decision_of_an_instance(case: dict[str, Any]) -> None:
    days = case.get("days", 9)
    facts = ReapFacts(
        instance=like(state=case.get("state", "stopped"), fetched=case.get("fetched", True)),
        since=None if days is None else NOW - timedelta(days=days),
        cut_short=case.get("cut_short", False),
        arriving=case.get("arriving", False),
        used=case.get("used"),
    )
    decision = judge(facts, now=NOW, reap_after=case.get("reap_after", WEEK), force=case.get("force", False))
    assert (decision and {True: "end", False: "keep"}[decision.ends]) == case["gives"]
    assert case.get("because", "") in (decision.why if decision else "")
    assert decision is None or decision.ends or decision.hint


MOMENTS = st.none() | st.integers(0, 30).map(lambda days: NOW - timedelta(days=days))
INSTANCES = st.builds(like, state=st.sampled_from(ALIVE), fetched=st.booleans(), stopped=MOMENTS)
SIGHTS = st.builds(ReapFacts, **{**every_field(ReapFacts), "instance": INSTANCES, "since": MOMENTS})


@given(SIGHTS)
def test_unfetched_results_are_never_reaped_unless_forced(facts: ReapFacts) -> None:
    decision = judge(facts, now=NOW, reap_after=WEEK, force=False)
    nothing_on_it = facts.cut_short and facts.used is False
    assert not (decision and decision.ends) or facts.instance.fetched or nothing_on_it


@pytest.mark.parametrize("force", [False, True])
@given(SIGHTS)
def test_what_is_in_use_is_never_reaped(force: bool, facts: ReapFacts) -> None:
    if facts.arriving or (facts.instance.state in ("pending", "running") and not facts.cut_short):
        assert judge(facts, now=NOW, reap_after=WEEK, force=force) is None
