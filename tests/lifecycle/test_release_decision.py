from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.repository import REPO

from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.outcome import End
from ec2tasks.lifecycle.release_decision import Decision, Facts, decide

CASES = yaml.safe_load((REPO / "tests" / "cases" / "release_decision.yaml").read_text(encoding="utf-8"))
USUAL = {
    "explicit": False,
    "launched": False,
    "started": False,
    "joined": True,
    "used": True,
    "results_here": True,
    "others": False,
    "can_stop": True,
    "as_found": False,
    "ignored": "",
    "job": "",
    "other_folder": "",
    "background": "",
    "halted": "",
    "end": "COMPLETED",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_final_state_and_what_is_said_of_it(case: dict[str, object]) -> None:
    facts: dict[str, Any] = {**USUAL, **{key: case[key] for key in USUAL if key in case}}
    facts["end"] = End[facts["end"]]
    decision = decide(Facts(wanted=FinalState(case["wanted"]), **facts))
    assert decision.final_state is FinalState(case["gives"])
    assert str(case.get("reason", "")) in str(decision.reason)
    assert str(case.get("hint", "")) in str(decision.hint)


WORDS = ("ignored", "job", "other_folder", "background", "halted")
FACTS = st.builds(
    Facts,
    wanted=st.sampled_from(FinalState),
    others=st.sampled_from([True, False, None]),
    **{key: st.sampled_from(["", "a"]) for key in WORDS},
    end=st.sampled_from(End),
    **{key: st.booleans() for key in USUAL if key not in ("others", "end", *WORDS)},
)


@given(FACTS)
def test_unfetched_results_are_never_terminated(facts: Facts) -> None:
    if facts.used and (not facts.results_here or (facts.other_folder and facts.joined)):
        assert decide(facts).final_state is not FinalState.TERMINATE


@given(FACTS)
def test_what_nobody_gave_up_is_never_terminated(facts: Facts) -> None:
    if facts.used and facts.ignored and facts.joined:
        assert decide(facts).final_state is not FinalState.TERMINATE


@given(FACTS)
def test_nobody_else_s_session_is_ended(facts: Facts) -> None:
    if facts.joined and facts.others and not facts.halted:
        assert decide(facts).final_state is FinalState.LEAVE


@given(FACTS)
def test_what_a_command_left_working_is_ended_by_who_asks_for_just_that(facts: Facts) -> None:
    if facts.joined and facts.background and not (facts.explicit or facts.halted):
        assert decide(facts).final_state is FinalState.LEAVE


@given(FACTS)
def test_what_is_stopped_is_never_said_to_run(facts: Facts) -> None:
    if facts.halted:
        assert decide(facts).final_state is not FinalState.LEAVE


@given(FACTS)
def test_what_this_call_brought_up_in_vain_is_not_left_running(facts: Facts) -> None:
    brought_up = (facts.launched and not facts.used) or facts.started
    if brought_up and not facts.joined and not facts.others and facts.can_stop:
        assert decide(facts).final_state is not FinalState.LEAVE


@given(FACTS)
def test_another_end_than_the_one_asked_for_says_why(facts: Facts) -> None:
    decision: Decision = decide(facts)
    assert decision.reason or decision.final_state is facts.wanted or facts.wanted is FinalState.LEAVE
