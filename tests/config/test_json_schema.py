"""The JSON Schema of ec2.yaml takes what the parsers take, and refuses what they refuse for its form."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.cli.scaffold import SETTINGS_TEXT
from ec2tasks.config.json_schema import settings_schema
from ec2tasks.config.schema import KEYS_BY_NAME

SCHEMA = settings_schema()
VALIDATOR = Draft7Validator(SCHEMA)
CASES = yaml.safe_load((REPO / "tests" / "cases" / "settings.yaml").read_text(encoding="utf-8"))

# What a parser refuses and JSON Schema can't: words of its error.
STRICTER = {
    "no file `": "a file that is not there",
    "bytes, AWS takes": "a script of more bytes than AWS takes",
    "is not between a cent": "a sum that is too small or too large",
    "is not between a second and ten years": "a time that is too short or too long",
}


def fits(values: object) -> bool:
    return bool(VALIDATOR.is_valid(values))


def test_it_is_a_schema_of_the_draft_that_it_names_and_of_the_newest() -> None:
    assert SCHEMA["$schema"] == Draft7Validator.META_SCHEMA["$id"]
    Draft7Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(SCHEMA)


def test_its_patterns_are_read_alike_by_editors() -> None:
    """No flags, named groups, \\A or \\Z: ECMAScript, with its flag `u`, takes them for errors."""
    patterns = re.findall(r'"pattern": (".*?[^\\]")', json.dumps(SCHEMA))
    assert patterns
    for pattern in (json.loads(text) for text in patterns):
        assert set(re.findall(r"\\(.)", pattern)) <= set("sSdn[].+")
        assert set(re.findall(r"\(\?(.)", pattern)) <= set(":=!")


@pytest.mark.parametrize(
    "text",
    [(REPO / "examples" / "project" / "ec2.yaml").read_text(encoding="utf-8"), SETTINGS_TEXT, ""],
    ids=["the example", "what init writes", "nothing"],
)
def test_a_file_that_is_good_fits(text: str) -> None:
    assert fits(yaml.safe_load(text))
    uncommented = yaml.safe_load(re.sub(r"^# (?=[a-z_ ]+:)", "", text, flags=re.MULTILINE))
    assert fits(uncommented)


@pytest.mark.parametrize("case", CASES["good"], ids=lambda case: case["name"])
def test_what_settings_take_fits(case: dict[str, Any]) -> None:
    assert fits(yaml.safe_load(case.get("files", {}).get("ec2.yaml", "")))


def bad_values() -> list[Any]:
    """The values of the bad cases that are in ec2.yaml or, in the same form, options."""
    return [
        pytest.param(values, case["says"], id=case["name"])
        for case in CASES["bad"]
        if (values := from_file(case["files"].get("ec2.yaml")) if "files" in case else case.get("options"))
    ]


def from_file(text: str | None) -> object:
    try:
        return yaml.safe_load(text or "")
    except yaml.YAMLError:
        return None


@pytest.mark.parametrize(("values", "words"), bad_values())
def test_what_settings_refuse_for_its_form_does_not_fit(values: object, words: list[str]) -> None:
    assert fits(values) == ("nope.sh" in words)  # of a file that is missing JSON Schema knows nothing


def json_values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """What YAML gives, but whole numbers with a point, and numbers so small that Python writes an `e`.

    JSON Schema takes 5.0 for an integer, and 1e-9 as any number; a parser reads both as they are written.
    """
    points = st.floats(-1e6, 1e6).filter(lambda number: not (number.is_integer() or "e" in str(number)))
    numbers = st.integers(-10, 70000) | points
    return st.recursive(
        st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=4,
    )


LETTERS = st.text(" ,:/.-=~_abgnsxAWS0156[]\n", max_size=12)
LIKELY_TEXTS = """
    $5 $2.50 2.505 0.001 $x TERM SIGusr1 sig KILL
    5 30 0 00 007 1_000 +5 65535 65536 70000 8888:localhost:8888 127.0.0.1:6006:h:6006 :80:h:80 h:80
    [::1]:80:[::1]:80 never NEVER 30min 1.5h 2days 5ss 5ms 5secs 7parsecs eu-west-1 eu-west g5.xlarge
    p2.xlarge g5.big u-6tb1.metal-2xl subnet-0abc subnet-x ubuntu Ubuntu ~/x ~//x /srv ../x x/../y x.. -x stop
    STOP kill tmux none aws LOCAL yes No off maybe team=nlp =x aws:x=1 EC2Tasks=1 A_B 1A file:// file://gone
"""
LIKELY = st.sampled_from(LIKELY_TEXTS.split())
SPACED = st.tuples(
    st.sampled_from(["", " ", "\n", ","]), LIKELY, st.sampled_from(["", " ", "\n", ", g5.large", " 80"])
)
TEXTS = LIKELY | LETTERS | SPACED.map("".join)


@settings(max_examples=800)
@given(st.sampled_from(sorted(set(KEYS_BY_NAME) - {"recipes"})), json_values(TEXTS))
@example("idle_stop", 0)
@example("tags", ["a=b", "c=d"])
@example("tags", {"a": None, "b": 5, "c": True})
@example("tags", {"x" * 129: "too long"})
@example("ports", [8888, "127.0.0.1:6006:localhost:6006"])
@example("forward_env", "A, B,C")
@example("key_file", "~nobody of that name/key")
@example("instance_type", [])
def test_a_value_fits_where_its_parser_takes_it(name: str, value: Any) -> None:
    if name == "tags" and isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return  # a list in the list is taken for its text, as Python writes it
    try:
        KEYS_BY_NAME[name].parse(value)
    except ValueError as error:
        stricter = any(words in str(error) for words in STRICTER)
        assert stricter or not fits({name: value})
        assert stricter or not fits({"recipes": {"train": {name: value}}})
    else:
        assert fits({name: value})
        assert fits({"recipes": {"train": {name: value}}})


def test_where_it_takes_more_than_a_parser() -> None:
    """A whole number that is written with a point is an integer to JSON Schema."""
    assert fits({"disk_gb": 5.0})
    with pytest.raises(ValueError, match="not a whole number"):
        KEYS_BY_NAME["disk_gb"].parse(5.0)


@pytest.mark.parametrize("name", sorted(KEYS_BY_NAME))
def test_no_value_of_a_setting_and_its_default_fit(name: str) -> None:
    assert fits({name: None})
    assert fits({name: SCHEMA["definitions"][name].get("default")})
    assert SCHEMA["definitions"][name]["description"] == KEYS_BY_NAME[name].about


@pytest.mark.parametrize(
    "values",
    [
        {"regio": "eu-west-1"},
        {"recipes": {"train": {"recipes": {}}}},
        {"recipes": {"train": None}},
        [],
        math.pi,
    ],
)
def test_what_is_no_setting_does_not_fit(values: object) -> None:
    assert not fits(values)


def test_config_prints_it_even_where_the_settings_are_broken(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: [\n")
    result = project.ec2tasks("config", "--schema")
    assert result.code == 0
    assert json.loads(result.out) == SCHEMA


def test_init_writes_it_where_the_settings_point_to(project: ScratchProject) -> None:
    assert project.ec2tasks("init").code == 0
    first = project.read("ec2.yaml").splitlines()[0]
    path = Path(first.removeprefix("# yaml-language-server: $schema="))
    assert json.loads(project.read(str(path))) == SCHEMA
    project.write(str(path), "{}")
    assert "wrote .ec2tasks/ec2.schema.json" in project.ec2tasks("init").err
    assert json.loads(project.read(str(path))) == SCHEMA
