"""Which variables of the environment go along, by the real make's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.makes import ENVIRON, MAKES, cases

from ec2tasks.make.environment import Environment, carried_variables, may_be_secret
from ec2tasks.make.reading import read_makefile


def carried(case: dict[str, Any], folder: Path, make: str, names: set[str] | None) -> Environment:
    for name, text in {"Makefile": case["makefile"], **case.get("files", {})}.items():
        (folder / name).write_text(text)
    environ = {**ENVIRON, "MAKE": make, "MAKEFLAGS": case.get("makeflags", ""), **case["environ"]}
    reading = read_makefile("train", directory=folder, environ=environ)
    return carried_variables(reading, environ, given=names, overrides=case.get("makeflags") == "e")


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("case", cases("environment.yaml"))
def test_carried(case: dict[str, Any], make: str, tmp_path: Path) -> None:
    found = carried(case, tmp_path, make, None)
    assert found.carried == case.get("carried", {})
    assert list(found.left) == case.get("left", [])


def test_what_a_makefile_exports_it_sets_there_again(tmp_path: Path) -> None:
    case = {"makefile": "export JOBS ?= 4\nEPOCHS ?= 1\ntrain:\n", "environ": {"JOBS": "4", "EPOCHS": "2"}}
    assert carried(case, tmp_path, "make", {"EPOCHS"}).carried == {"EPOCHS": "2"}


SECRETS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "APIKEY", "CREDENTIALS")


@given(
    before=st.sampled_from(["", "GITHUB_", "my_"]),
    word=st.sampled_from(SECRETS),
    after=st.sampled_from(["", "_2"]),
)
def test_a_secret_s_name_is_known_in_any_case(before: str, word: str, after: str) -> None:
    for name in (f"{before}{word}{after}", f"{before}{word}{after}".lower()):
        assert may_be_secret(name, {name: "x"})


@pytest.mark.parametrize(
    "value",
    [
        "postgres://me:pw@host/db",
        "ghp_0123456789abcdef",
        "-----BEGIN RSA PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_a_secret_s_form_is_known_under_any_name(value: str) -> None:
    assert may_be_secret("DATA", {"DATA": value})


def test_a_copy_of_an_aws_secret_is_known() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert may_be_secret("X", {"X": f"a {secret}", "AWS_SECRET_ACCESS_KEY": secret})


@pytest.mark.parametrize(
    "name", ["EPOCHS", "MAX_TOKENS", "KEYBOARD", "PASSES", "AUTHOR", "MONKEY", "PATTERN"]
)
def test_other_names_are_no_secrets(name: str) -> None:
    assert not may_be_secret(name, {name: "https://host/a:b@c 100"})
