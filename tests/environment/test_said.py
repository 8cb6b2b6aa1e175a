from __future__ import annotations

from pathlib import Path

import pytest

from ec2tasks.environment.files import Source
from ec2tasks.environment.here import Here
from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.environment.said import chosen_text, difference_lines, environment_line, why_text

LOCK = Source(kind="uv", label="uv.lock", main="uv.lock")
BUILT = EnvironmentRequest(wanted="auto", source=LOCK, key="k")
ABOUT = {"python": "3.12.3", "packages": "38", "torch": "2.12.0", "image": "yes"}
HERE = Here(
    kind="venv", label=".venv here", prefix=Path("/v"), active=False, versions={"a": "1", "b": "2", "c": "3"}
)


@pytest.mark.parametrize(
    ("word", "about", "seconds", "line"),
    [
        ("built", ABOUT, 41.0, "uv.lock, Python 3.12, 38 packages, torch 2.12.0 from the image · 41.0 s"),
        ("built", ABOUT, None, "uv.lock, Python 3.12, 38 packages, torch 2.12.0 from the image · ready"),
        ("built", {"packages": "1", "torch": "2.8.0"}, None, "uv.lock, 1 package, torch 2.8.0 · ready"),
        ("built", {}, None, "uv.lock · ready"),
        ("venv:.venv", {}, None, ".venv, made there by a recipe"),
        ("venv:/opt/pytorch", {}, None, "/opt/pytorch, the image's"),
        ("venv:/x", {}, None, "/x, there"),
        ("conda:nlp", {}, None, "conda's `nlp` there"),
        ("none", {}, None, "none, the system's own programs"),
    ],
)
def test_the_line_of_a_run(word: str, about: dict[str, str], seconds: float | None, line: str) -> None:
    assert environment_line(BUILT, word, about, seconds) == f"environment: {line}"


@pytest.mark.parametrize("word", ["absent", "", "of another version"])
def test_what_is_not_known_is_not_said(word: str) -> None:
    assert environment_line(BUILT, word, {}) == ""


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("auto", "a .venv that a recipe made there, else the image's own environment"),
        ("none", "no environment"),
        ("nlp", "the environment `nlp` there"),
        ("nlp?", "the environment `nlp` there"),
        ("conda:nlp", "the conda environment `nlp` there"),
        ("venv:~/there", "the environment `~/there` there"),
    ],
)
def test_a_plan_says_it(word: str, words: str) -> None:
    assert chosen_text(EnvironmentRequest(wanted=word)) == words


def test_a_plan_says_what_would_be_built() -> None:
    words = "an environment from uv.lock, built there unless it is ready"
    assert chosen_text(EnvironmentRequest(wanted="built", source=LOCK, key="k")) == words
    assert chosen_text(BUILT) == f"{words} or a recipe made a .venv there"


def test_why() -> None:
    assert "first in the project" in why_text(BUILT)
    assert "no environment is active" in why_text(EnvironmentRequest(wanted="auto"))
    assert why_text(EnvironmentRequest(wanted="none")) == "`env` says so"
    held = EnvironmentRequest(wanted="auto", source=LOCK, key="k", constraints=("a==1",), here=HERE)
    assert why_text(held).endswith("those of .venv here")


def test_differences_are_named_and_few() -> None:
    assert difference_lines(HERE, {"a": "1+cu130", "b": "9"}) == [
        "b: 2 here, 9 there",
        "c: 3 here, not there",
    ]
    assert difference_lines(None, {"a": "1"}) == []
    many = Here(**{**HERE.__dict__, "versions": {f"p{n:02}": "1" for n in range(30)}})
    assert difference_lines(many, {"x": "1"})[-1] == "… and 10 more"
