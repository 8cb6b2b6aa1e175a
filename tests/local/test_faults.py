from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import UsageError
from ec2tasks.local import faults
from ec2tasks.local.faults import NONE, ErrorFault, FaultFile, parse


def written(path: Path, asked: dict[str, Any]) -> FaultFile:
    path.write_text(json.dumps(asked))
    return FaultFile(path)


def test_every_example_is_one_and_stands_in_the_manual() -> None:
    for name, example in faults.EXAMPLES.items():
        assert parse(yaml.safe_load(example)) != NONE, name
        assert f"    {example}" in (faults.__doc__ or ""), name


def test_the_page_shows_every_fault_as_it_can_be_asked_for() -> None:
    page = (Path(__file__).parents[2] / "docs" / "local.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    shown = [one for cell in cells for one in re.findall(r"`([^`]+)`", cell)]
    assert {one.partition(":")[0] for one in shown} == set(faults.EXAMPLES)
    for one in shown:
        assert parse(yaml.safe_load(one)) != NONE, one


def test_nothing_asked_is_no_fault() -> None:
    assert parse(None) == parse({}) == parse({"cut": None}) == NONE


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"latencyms": 3}, "did you mean `latency_ms`"),
        ({"zzz": 3}, "there are: capacity"),
        ({"latency_ms": "much"}, "latency_ms: 50"),
        ({"latency_ms": -1}, "latency_ms: 50"),
        ({"latency_ms": True}, "latency_ms: 50"),
        ({"cut": "yes"}, "cut: true"),
        ({"capacity": 3}, "capacity: "),
        ({"capacity": [3]}, "capacity: "),
        ({"errors": "RunInstances"}, "errors: "),
        ({"errors": {"RunInstances": {"status": 500}}}, "errors: "),
        ({"errors": {"RunInstances": {"code": "X", "tims": 1}}}, "errors: "),
        ({"throttle": {"RunInstances": "x"}}, "throttle: 3"),
        ({"lag": {"securitygroup": 3}}, "lag: 3"),
        ({"lag": {"tags": "long"}}, "lag: 3"),
    ],
)
def test_what_can_not_be_is_a_usage_error_with_a_hint(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(asked)
    assert said in (error.value.hint or "")


@given(
    st.dictionaries(
        st.sampled_from([*faults.EXAMPLES, "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_whatever_is_asked_is_understood_or_refused(asked: dict[str, Any]) -> None:
    with contextlib.suppress(UsageError):
        parse(asked)


def test_capacity_is_by_type_or_by_type_and_zone() -> None:
    lacking = parse({"capacity": ["g5.xlarge", "g6.xlarge@eu-central-1a"]})
    assert lacking.lacks_capacity("g5.xlarge", "eu-central-1c")
    assert lacking.lacks_capacity("g6.xlarge", "eu-central-1a")
    assert not lacking.lacks_capacity("g6.xlarge", "eu-central-1b")


def test_a_notice_is_for_all_or_for_some() -> None:
    assert parse({"spot_notice": "all"}).announces("i-1")
    assert parse({"spot_notice": ["i-1"]}).announces("i-1")
    assert not parse({"spot_notice": "i-1"}).announces("i-2")


def test_a_network_falls_apart_into_sides() -> None:
    one, all_ = parse({"partition": "i-1"}), parse({"partition": "all"})
    assert one.side_of("i-2") == one.side_of("i-3") != one.side_of("i-1")
    assert len({all_.side_of("i-1"), all_.side_of("i-2"), NONE.side_of("i-1")}) == 3
    assert parse({"node_lost": ["i-1"]}).loses("i-1")
    assert not parse({"node_lost": "i-1"}).loses("i-2")


def test_throttling_counts_down_by_action_and_for_all(tmp_path: Path) -> None:
    file = written(tmp_path / "f", {"throttle": {"A": 1, "*": 1}})
    assert [file.throttles("A"), file.throttles("A"), file.throttles("A")] == [True, True, False]
    file = written(tmp_path / "g", {"throttle": 1})
    assert [file.throttles("A"), file.throttles("B")] == [True, False]


def test_errors_are_for_ever_or_so_many_times(tmp_path: Path) -> None:
    file = written(tmp_path / "f", {"errors": {"A": "X", "B": {"code": "Y", "times": 1, "after": True}}})
    assert file.error_for("A") == file.error_for("A") == ErrorFault(code="X")
    assert file.error_for("B") == ErrorFault(code="Y", times=1, after=True)
    assert file.error_for("B") is None
    assert file.error_for("C") is None


def test_connections_drop_once_a_setting(tmp_path: Path) -> None:
    file = written(tmp_path / "f", {"drop_ssh": True})
    assert [file.drops_ssh(), file.drops_ssh()] == [True, False]
    (tmp_path / "f").unlink()
    (tmp_path / "f").write_text(json.dumps({"drop_ssh": True, "cut": False}))
    assert file.drops_ssh()


def test_a_file_that_is_gone_or_broken_asks_for_nothing(tmp_path: Path) -> None:
    file = FaultFile(tmp_path / "f")
    assert file.current() == NONE
    (tmp_path / "f").write_text("{")
    assert file.current() == NONE
    (tmp_path / "f").write_text('{"cut": true}')
    assert file.current().cut
