from __future__ import annotations

from typing import Any

import pytest

from ec2tasks.base.errors import UsageError
from ec2tasks.cli.connection import connect
from ec2tasks.cli.options import RUN_OPTIONS, final_state, from_code, is_verbose, setting_values, typed
from ec2tasks.config.schema import KEYS_BY_NAME


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


def test_code_gives_options_by_their_names_or_their_settings() -> None:
    given = {"instance_type": "g5.xlarge", "region": "eu-west-1", "key_file": "key", "echo": True}
    assert from_code(given) == {"type": "g5.xlarge", "region": "eu-west-1", "i": "key", "echo": True}
    assert setting_values(RUN_OPTIONS, from_code({"endpoint": "aws"})) == {"endpoint": "aws"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"regoin": "eu-west-1"}, "`regoin`; did you mean `region`"),
        ({"stop": True}, "no option `stop`"),
        ({"echo": "yes"}, "`echo` takes True or False, not 'yes'"),
        ({"type": "g5.xlarge", "instance_type": "g6.xlarge"}, "two names"),
    ],
)
def test_code_that_gives_what_is_no_option_is_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        from_code(given)
    with pytest.raises(UsageError, match=says), connect(**given):
        pass


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
