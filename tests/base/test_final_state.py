from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.repository import REPO

from ec2tasks.base.final_state import Facts, FinalState, Verdict, decide

CASES = yaml.safe_load((REPO / "tests" / "cases" / "ending.yaml").read_text(encoding="utf-8"))
USUAL = {
    "explicit": False,
    "launched": False,
    "started": False,
    "joined": True,
    "touched": True,
    "results_here": True,
    "others": False,
    "can_stop": True,
    "run": "",
    "elsewhere": "",
    "left": "",
    "detached": False,
    "pressed": False,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_end_of_life(case: dict[str, object]) -> None:
    facts: dict[str, Any] = {**USUAL, **{key: case[key] for key in USUAL if key in case}}
    verdict = decide(Facts(wanted=FinalState(case["wanted"]), **facts))
    assert verdict.ending is FinalState(case["gives"])
    assert str(case.get("because", "")) in str(verdict.because)
    assert str(case.get("hint", "")) in str(verdict.hint)


WORDS = ("run", "elsewhere", "left")
FACTS = st.builds(
    Facts,
    wanted=st.sampled_from(FinalState),
    others=st.sampled_from([True, False, None]),
    **{key: st.sampled_from(["", "a"]) for key in WORDS},
    **{key: st.booleans() for key in USUAL if key not in ("others", *WORDS)},
)


@given(FACTS)
def test_unfetched_results_are_never_terminated(facts: Facts) -> None:
    if facts.touched and (not facts.results_here or (facts.elsewhere and facts.joined)):
        assert decide(facts).ending is not FinalState.TERMINATE


@given(FACTS)
def test_nobody_else_s_session_is_ended(facts: Facts) -> None:
    if facts.joined and facts.others:
        assert decide(facts).ending is FinalState.LEAVE


@given(FACTS)
def test_what_a_command_left_working_is_ended_by_who_asks_for_just_that(facts: Facts) -> None:
    if facts.joined and facts.left and not facts.explicit:
        assert decide(facts).ending is FinalState.LEAVE


@given(FACTS)
def test_what_this_call_brought_up_in_vain_is_not_left_running(facts: Facts) -> None:
    brought_up = (facts.launched and not facts.touched) or facts.started
    if brought_up and not facts.joined and not facts.others and facts.can_stop:
        assert decide(facts).ending is not FinalState.LEAVE


@given(FACTS)
def test_another_end_than_the_one_asked_for_says_why(facts: Facts) -> None:
    verdict: Verdict = decide(facts)
    assert verdict.because or verdict.ending is facts.wanted or facts.wanted is FinalState.LEAVE
