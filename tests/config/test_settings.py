from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import Project
from ec2tasks.cli.options import RUN_OPTIONS, as_typed
from ec2tasks.config.parsers import span, span_text
from ec2tasks.config.schema import KEYS, KEYS_BY_NAME
from ec2tasks.config.settings import Layer, Settings, configured, merge, read_settings

CASES = yaml.safe_load((REPO / "tests" / "cases" / "settings.yaml").read_text(encoding="utf-8"))

TYPED = {one.setting: as_typed(one.names[0]) for one in RUN_OPTIONS if one.setting and one.names != ("I",)}


def read(root: Path, environ: dict[str, str] | None = None, **options: object) -> Settings:
    environ = {"HOME": str(root / "nobody"), "USER": "kim", **(environ or {})}
    targets = options.pop("targets", ())
    assert isinstance(targets, tuple)
    project = Project(root=root, below=Path())
    return read_settings(project, options=options, typed=TYPED, targets=targets, environ=environ)


@pytest.mark.parametrize("case", CASES["good"], ids=lambda case: case["name"])
def test_a_value_and_its_source(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = read(
        tmp_path,
        case.get("environ"),
        targets=tuple(case.get("targets", ())),
        **case.get("options", {}),
    )
    for key, (value, source) in case["expect"].items():
        got = getattr(found, key)
        assert (list(got) if isinstance(got, tuple) else got, str(found.sources[key])) == (value, source)


@pytest.mark.parametrize("case", CASES["bad"], ids=lambda case: case["name"])
def test_a_mistake_is_named_with_its_place(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path, case.get("environ"), targets=tuple(case.get("targets", ())), **case.get("options", {}))
    assert all(word in caught.value.what for word in case["says"]), caught.value.what
    assert "\n" not in caught.value.what
    assert caught.value.code == 2


def test_every_field_has_its_key() -> None:
    fields = {one.name for one in dataclasses.fields(Settings)} - {"sources"}
    assert fields == {key.name for key in KEYS}


def test_a_layer_above_wins_whatever_lies_below() -> None:
    layers = [Layer(source=configured(str(n)), values={"region": f"eu-west-{n}"}) for n in (1, 2, 3)]
    values, sources = merge(layers)
    assert (values["region"], str(sources["region"])) == ("eu-west-3", "3")


def test_who_asked_for_a_value(tmp_path: Path) -> None:
    (tmp_path / "ec2.yaml").write_text("idle_stop: 2 h\n")
    found = read(tmp_path, max_hours="3 h")
    names = ("name", "pull_every", "idle_stop", "max_hours")
    assert [(found.given(one), found.by_option(one)) for one in names] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(KEYS_BY_NAME)), JUNK)
def test_whatever_a_file_holds_gives_a_value_or_a_usage_error(name: str, value: object) -> None:
    try:
        merge([Layer(source=configured("ec2.yaml"), values={name: value})])
    except UsageError as error:
        assert error.what.startswith("ec2.yaml")  # noqa: PT017  # a value without an error is as good


def test_config_shows_values_and_sources(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: eu-west-1\n")
    said = project.ec2tasks("config", "--type", "g5.xlarge", AWS_FINAL_STATE="stop")
    assert said.code == 0
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert "eu-west-1" in rows["region"]
    assert rows["region"].endswith("ec2.yaml")
    assert rows["final_state"].endswith("environment AWS_FINAL_STATE")
    assert rows["instance_type"].endswith("option --type")
    assert rows["name"].split()[1] == "tester-shop"


def test_a_broken_file_is_one_line_and_exit_2(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: [\n")
    said = project.ec2tasks("run", "true")
    assert said.code == 2
    assert said.err.startswith("ec2tasks: ec2.yaml, line ")
    assert "Traceback" not in said.err


def test_invoke_s_own_settings_are_read_by_inv_too(project: ScratchProject) -> None:
    project.write("tasks.py", "from ec2tasks import ns\n")
    project.write("invoke.yaml", "ec2:\n  region: eu-west-3\n")
    said = project.call("inv", "ec2.config")
    assert said.code == 0
    line = next(line for line in said.out.splitlines() if line.startswith("region"))
    assert line.split() == ["region", "eu-west-3", "invoke.yaml,", "key", "`ec2`"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("90 s", 90),
        ("30 min", 1800),
        ("2h", 7200),
        ("1.5 h", 5400),
        ("7 days", 604800),
        ("never", 0),
    ],
)
def test_a_span_of_time(text: str, seconds: int) -> None:
    assert span("min")(text) == seconds
    assert span("min")(span_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["soon", "-5 min", "5 parsecs", "99999 days", ""])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|must be"):
        span("min")(text)
