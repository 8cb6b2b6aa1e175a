"""Which environment a job takes on the instance, and what of its answer counts here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.instance_scripts import instance_script_argv

from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.environment.said import environment_line
from ec2tasks.remote.environment import BuildError, read_choice
from ec2tasks.remote.protocol import read_message


@pytest.mark.parametrize(
    ("environment", "built", "there", "choice"),
    [
        ("none", "", [".venv"], "none"),
        ("auto", "k", [".venv", "k"], "venv:.venv"),
        ("auto", "k", ["k"], "built,python=3.12.1,packages=2"),
        ("auto", "k", [], "missing"),
        ("built", "k", [".venv"], "missing"),
        ("built", "k", [".venv", "k"], "built,python=3.12.1,packages=2"),
        ("auto", "k", ["nlp"], "conda:nlp"),
        ("auto", "", ["nlp"], "conda:nlp"),
        ("nlp", "k", ["nlp"], "conda:nlp"),
        ("nlp", "k", [], "absent"),
        ("nlp?", "k", [], "missing"),
        ("nlp?", "k", ["nlp"], "conda:nlp"),
        ("conda:nlp", "", ["nlp"], "conda:nlp"),
        ("conda:.venv", "", [".venv", "nlp"], "absent"),
        ("venv:.venv", "", [".venv"], "venv:.venv"),
        ("venv:nlp", "", ["nlp"], "absent"),
        (".venv", "", [".venv"], "venv:.venv"),
    ],
)
def test_the_choice_there(
    environment: str, built: str, there: list[str], choice: str, tmp_path: Path
) -> None:
    made = {
        ".venv": "shop/.venv/bin/activate",
        "k": ".ec2tasks/env/k/ready",
        "nlp": "miniconda3/envs/nlp/conda-meta/history",
    }
    (tmp_path / "shop").mkdir()
    for name in there:
        path = tmp_path / made[name]
        path.parent.mkdir(parents=True)
        path.write_text("python=3.12.1,packages=2" if name == "k" else "")
    if "nlp" in there:
        path = tmp_path / "miniconda3" / "etc" / "profile.d" / "conda.sh"
        path.parent.mkdir(parents=True)
        path.write_text("")
    fields = {"environment": environment, "built": built, "conda_name": "nlp", "folder": "shop", "below": "."}
    argv = instance_script_argv("environment.sh", **fields)
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    said = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
    message = read_message(said.stdout.strip(), "environment")
    assert message
    assert message.get("choice", str, "") == choice


@given(st.text(max_size=60))
def test_only_plain_words_of_an_answer_are_shown(text: str) -> None:
    choice = read_choice(f"built,python={text},packages=3,torch={text},image=yes")
    for value in choice.about.values():
        assert value.isascii()
        assert value.isprintable()
    line = environment_line(EnvironmentRequest(wanted="auto"), choice.word, choice.about)
    assert line.isprintable() or line == ""
    other = read_choice(text)
    assert not other.missing or text == "missing"


def test_a_builder_s_words_are_escaped() -> None:
    failure = BuildError("it could not be built", lines=["\x1b[31mred\x1b[0m", "a\rb"])
    assert "\x1b" not in str(failure.message)
    assert "\r" not in str(failure.message)
