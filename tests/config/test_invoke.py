"""Invoke's key `ec2`: its files, its variables, and another tool's of that name."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import Project
from ec2tasks.config.invoke import SWITCH, check_variables
from ec2tasks.config.schema import INVOKE_PREFIX, KEYS, KEYS_BY_NAME
from ec2tasks.config.settings import Settings, read_settings

VALUES = {
    "endpoint": "local",
    "region": "eu-west-2",
    "instance_type": "g5.xlarge, g6.xlarge",
    "final_state": "stop",
    "subnet": "subnet-0abc",
    "account": "012345678901",
    "ssh_from": "192.0.2.0/24",
    "capacity_reservation": "cr-0abc",
    "user": "admin",
    "multiplex": "tmux",
    "tags": "team=blue",
    "ports": "8888",
    "reverse_ports": "9000",
    "disk_gb": "100",
    **dict.fromkeys(("key_file", "user_data"), "KEY"),
    **{key.name: "no" for key in KEYS if isinstance(key.default, bool)},
    **dict.fromkeys(("idle_stop", "max_hours", "reap_after", "pull_every", "wait_capacity"), "3 h"),
    "stalled_stop": "3 h",
    "max_cost": "5",
    "warn_before": "3 min",
    "notice_signal": "usr1",
    "log_mb": "7",
}


def read(root: Path, invoke_values: object = None, **environ: str) -> Settings:
    environ = {"HOME": str(root / "nobody"), "USER": "kim", **environ}
    return read_settings(
        Project(root=root, below=Path()), options={}, invoke_values=invoke_values, environ=environ
    )


def found(settings: Settings, name: str) -> tuple[Any, str]:
    return getattr(settings, name), str(settings.sources[name])


@pytest.mark.parametrize("name", [key.name for key in KEYS if key.name != "recipes"])
def test_each_setting_has_its_variable(name: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    value = VALUES.get(name, "word").replace("KEY", str(tmp_path / "key"))
    variable = f"INVOKE_EC2_{name.upper()}"
    settings = read(tmp_path, **{variable: value})
    assert found(settings, name) == (KEYS_BY_NAME[name].parse(value), f"environment {variable}")
    assert not settings.wishes  # the caller's own environment, not the project's


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"INVOKE_EC2_REGION": "eu-west-2", "AWS_REGION": "eu-west-3"}, ("eu-west-2", "INVOKE_EC2_REGION")),
        ({"INVOKE_EC2_REGION": "", "AWS_REGION": "eu-west-3"}, ("eu-west-3", "AWS_REGION")),
        ({"INVOKE_EC2_ENDPOINT": "aws", "EC2_LOCAL": "1"}, ("local", "EC2_LOCAL")),
    ],
)
def test_which_variable_counts(environ: dict[str, str], expected: tuple[str, str], tmp_path: Path) -> None:
    name = "endpoint" if "EC2_LOCAL" in environ else "region"
    assert found(read(tmp_path, **environ), name) == (expected[0], f"environment {expected[1]}")


def test_a_variable_in_the_project_s_dotenv_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("INVOKE_EC2_REGION=eu-west-2\nAWS_FINAL_STATE=stop\n")
    settings = read(tmp_path)
    assert found(settings, "region") == ("eu-central-1", "default")
    assert found(settings, "final_state")[0] == "stop"


def test_what_invoke_made_of_a_variable_counts_once_and_as_the_caller_s(tmp_path: Path) -> None:
    (tmp_path / "invoke.yaml").write_text("ec2: {spot: true, ports: 8888}\n")
    # Invoke converts a variable by the kind of what it replaces.
    in_invoke = {"spot": True, "ports": 6006, "forward_env": "TOKEN"}
    settings = read(
        tmp_path, in_invoke, INVOKE_EC2_SPOT="no", INVOKE_EC2_PORTS="6006", INVOKE_EC2_FORWARD_ENV="TOKEN"
    )
    assert found(settings, "spot") == (False, "environment INVOKE_EC2_SPOT")
    assert settings.ports == ("8888:localhost:8888", "6006:localhost:6006")
    assert found(settings, "forward_env") == (("TOKEN",), "environment INVOKE_EC2_FORWARD_ENV")
    assert not settings.wishes


KNOWN = st.sampled_from(["region", "spot", "name"])
STRANGE = st.text(min_size=1, max_size=12).filter(lambda word: word not in KEYS_BY_NAME)
FOREIGN = (
    st.text(min_size=1)
    | st.integers()
    | st.booleans()
    | st.lists(st.text())
    | st.dictionaries(STRANGE, st.integers(), min_size=1)
    | st.builds(lambda name, other, value: {name: value, other: value}, KNOWN, STRANGE, st.integers())
)


@given(FOREIGN)
def test_another_tool_s_key_is_told_apart_and_the_way_out_works(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "invoke.yaml").write_text(yaml.safe_dump({"ec2": value}))
        for in_invoke in (None, value):
            with pytest.raises(UsageError) as caught:
                read(root, in_invoke)
            assert "invoke.yaml, key `ec2`" in caught.value.what
            assert f"`{SWITCH}: no` in ec2.yaml" in str(caught.value.hint)
        (root / "ec2.yaml").write_text(f"{SWITCH}: no\n")
        settings = read(root, value, INVOKE_EC2_OTHER="x", INVOKE_EC2_SPOT="yes")
        assert found(settings, "region") == ("eu-central-1", "default")
        assert found(settings, "spot") == (True, "environment INVOKE_EC2_SPOT")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("us-east-1", "must map settings to values, not be `us-east-1`"),
        ({"ami": 1, "vpc": 2}, "holds no setting of ec2tasks, but `ami`, `vpc`"),
        ({"regoin": "x"}, "holds no setting of ec2tasks, but `regoin`; did you mean `region`?"),
        ({"spot": True, "regoin": "x"}, "unknown setting `regoin`; did you mean `region`?"),
    ],
)
def test_what_is_said_of_a_key_that_is_not_ours(value: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, value)
    assert caught.value.what == f"Invoke's configuration, key `ec2`: {says}"


def test_a_variable_that_sets_nothing_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        check_variables({"INVOKE_EC2_INSTANCE_TYP": "x"})
    assert caught.value.what == (
        "environment INVOKE_EC2_INSTANCE_TYP: unknown setting `instance_typ`;"
        " did you mean `INVOKE_EC2_INSTANCE_TYPE`?"
    )


def test_variables_of_invoke_s_for_one_entry_of_a_mapping_pass() -> None:
    check_variables({f"{INVOKE_PREFIX}TAGS_TEAM": "blue", "INVOKE_RUN_ECHO": "1"})
