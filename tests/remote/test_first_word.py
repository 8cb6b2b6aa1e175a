"""The program that a command begins with, as bash reads it, and what is said where an instance lacks it."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.project import ScratchProject

from ec2tasks.remote.first_word import first_word, lacking_text


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("just train", "just"),
        ("  just", "just"),
        ("\njust train\n", "just"),
        ("just;echo", "just"),
        ("just>log 2>&1", "just"),
        ("just|tee log", "just"),
        ("'just' train", "just"),
        ("A=1 B='x y' uv run train", "uv"),
        ("python3.11 -m x", "python3.11"),
        ("g++ x.c", "g++"),
        ("", None),
        ("A=1", None),
        ("./train.sh", None),
        ("~/bin/just", None),
        ("$RUNNER train", None),
        ("A=$(date +%s) just", None),
        ("A=`date` just", None),
        ("$(which just) train", None),
        ("(just train)", None),
        ("train() { true; }; train", None),
        ("just 'never ended", "just"),
        ("'never ended", None),
        ("# just", None),
        ("! just", None),
        ("-x", None),
    ],
)
def test_the_first_word_is_the_program(command: str, word: str | None) -> None:
    assert first_word(command) == word


NAMES = st.from_regex(r"[a-z][a-z0-9_.+-]{0,8}", fullmatch=True).map(lambda name: f"zz{name}")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(VALUES, max_size=3), NAMES, st.lists(VALUES, max_size=3))
def test_what_bash_does_not_find_is_the_word_that_is_named(
    values: list[str], name: str, rest: list[str]
) -> None:
    given_before = [f"V{place}={shlex.quote(value)}" for place, value in enumerate(values)]
    command = " ".join([*given_before, name, *map(shlex.quote, rest)])
    done = subprocess.run(["bash", "-c", command], capture_output=True)
    assert done.returncode == 127
    word = first_word(command)
    # None where a value holds what only bash can read.
    assert word == name or (word is None and any(set("$`") & set(value) for value in values + rest))


@given(st.text(max_size=30))
def test_any_text_has_a_plain_first_word_or_none(command: str) -> None:
    word = first_word(command)
    assert word is None or (
        word in command.replace("\\\n", "").replace("\\", "") or set("\"'") & set(command)
    )


@pytest.mark.parametrize(
    ("word", "bare", "says"),
    [
        ("just", False, "`pip install rust-just &&` before the command"),
        ("uv", False, "`pip install uv &&`"),
        ("nox", True, "`python3 -m venv .venv && . .venv/bin/activate && pip install nox &&`"),
        ("npm", True, "`sudo apt-get install -y npm &&`"),
        ("nvidia-smi", False, "put what installs it before the command"),
    ],
)
def test_how_to_have_it_there_is_said(word: str, bare: bool, says: str) -> None:
    text = lacking_text(word, bare=bare)
    assert text.startswith(f"the instance has no `{word}`: ")
    assert says in text
    assert text.endswith(", or into `user_data` of ec2.yaml")


SAYS = "ec2tasks: the instance has no `"


@pytest.mark.parametrize(
    ("command", "word", "code"),
    [
        ("zzjust train", "zzjust", 127),
        ("nvidia-smi -L", "nvidia-smi", 127),
        ("A=1 nvidia-smi", "nvidia-smi", 127),
        ("sh -c 'exit 127'", None, 127),  # a program's own 127
        ("bash -c zzjust", None, 127),
        ("cd . && zzjust", None, 127),
        ("if true; then exit 127; fi", None, 127),
        ("type -t cd >/dev/null; exit 127", None, 127),
        ("zzjust || exit 3", None, 3),  # the command has dealt with it
    ],
)
def test_only_a_first_word_that_is_missing_there_is_told(
    command: str, word: str | None, code: int, warm: ScratchProject
) -> None:
    said = warm.ec2tasks("run", "--no-rsync", command)
    assert said.code == code
    assert said.err.count(SAYS) == (word is not None)
    assert word is None or f"{SAYS}{word}`" in said.err
    assert SAYS not in said.out


def test_what_a_venv_of_the_project_brings_is_there(warm: ScratchProject) -> None:
    make = "mkdir -p .venv/bin; printf 'PATH=%s/.venv/bin:$PATH VIRTUAL_ENV=x' \"$PWD\" > .venv/bin/activate"
    tool = "printf '#!/bin/sh\\nexit 127\\n' > .venv/bin/zztool; chmod +x .venv/bin/zztool"
    assert warm.ec2tasks("run", f"{make}; {tool}").code == 0
    said = warm.ec2tasks("run", "--no-rsync", "zztool")
    assert (said.code, SAYS in said.err) == (127, False)
    said = warm.ec2tasks("run", "--no-rsync", "nox")
    warm.ec2tasks("run", "--no-rsync", "rm -r .venv")
    assert "put `pip install nox &&` before the command" in said.err
