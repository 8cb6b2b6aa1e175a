from __future__ import annotations

import pytest

from ec2tasks.errors import UsageError
from ec2tasks.options import RUN_OPTIONS, final_state, is_verbose, setting_values, typed
from ec2tasks.schema import KEYS_BY_NAME


def test_every_option_that_sets_something_sets_a_setting() -> None:
    assert {option.setting for option in RUN_OPTIONS if option.setting} <= set(KEYS_BY_NAME)


def test_what_is_not_given_sets_nothing() -> None:
    given = {option.names[0]: {bool: False, list: [], str: None}[option.kind] for option in RUN_OPTIONS}
    assert setting_values(RUN_OPTIONS, given) == {}


def test_what_is_given_reaches_its_setting() -> None:
    given = {"local": True, "type": "g5.xlarge", "L": ["8888"], "stop": True, "i": "key"}
    assert setting_values(RUN_OPTIONS, given) == {
        "endpoint": "local",
        "instance_type": "g5.xlarge",
        "ports": ["8888"],
        "final_state": "stop",
        "key_file": "key",
    }


def test_an_option_is_named_as_it_was_typed() -> None:
    given = {"local": True, "type": "g5.xlarge", "I": "key", "stop": True, "spot": False}
    assert typed(RUN_OPTIONS, given) == {
        "endpoint": "--local",
        "instance_type": "--type",
        "key_file": "-I",
        "final_state": "--stop",
    }


@pytest.mark.parametrize(
    ("given", "end"),
    [({}, None), ({"leave": True}, "leave"), ({"stop": True}, "stop"), ({"terminate": True}, "terminate")],
)
def test_the_end_of_life_by_option(given: dict[str, bool], end: str | None) -> None:
    assert final_state(given) == end


def test_ends_that_contradict_each_other_are_named() -> None:
    with pytest.raises(UsageError, match="--leave and --terminate"):
        final_state({"leave": True, "terminate": True})


@pytest.mark.parametrize(
    ("given", "verbose"),
    [({}, False), ({"quiet": True}, False), ({"verbose": True}, True), ({"no_quiet": True}, True)],
)
def test_whether_files_are_shown(given: dict[str, bool], verbose: bool) -> None:
    assert is_verbose(given) is verbose
