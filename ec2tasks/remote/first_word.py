"""What a command begins with, and what is said where an instance lacks it.

The instance looks whether it has that program, in the environment that the command runs in. What is to be
said goes there with the job, so that whoever sees the output later sees that too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
# Programs that are on PyPI: under another name, and under their own.
ON_PYPI = {"just": "rust-just", "poe": "poethepoet", "task": "go-task-bin", "inv": "invoke", "uvx": "uv"}
NAMED_SO = """
    accelerate cmake doit duty dvc hatch invoke jupyter mlflow ninja nox pdm pipenv poetry pytest ruff
    snakemake tensorboard tox uv wandb
"""
# Others, by the name of their package in Debian and Ubuntu.
IN_APT = {"npm": "npm", "npx": "npm", "node": "nodejs", "yarn": "yarnpkg"}


def first_word(command: str) -> str | None:
    """The program that a command begins with; None where only bash could tell, or where it is a path."""
    words = _words(command)
    word = next((word for word in words if not ASSIGNMENT.fullmatch(word)), "")
    # A bracket behind it makes it a function's name.
    return word if PROGRAM.fullmatch(word) and next(words, "")[:1] != "(" else None


def _words(command: str) -> Iterator[str]:
    """The words of a command, up to the first that holds more than quotes and spaces can tell apart."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.commenters = ""
    reader.whitespace_split = True
    try:
        for word in reader:
            if "$" in word or "`" in word:
                return
            yield word
    except ValueError:
        return  # a quote without its end


def lacking_text(word: str, *, bare: bool) -> str:
    """What is said where an instance lacks this program; `bare`: in no environment that pip may change."""
    venv = "python3 -m venv .venv && . .venv/bin/activate && " if bare else ""
    if package := ON_PYPI.get(word) or (word if word in NAMED_SO.split() else None):
        how = f"put `{venv}pip install {package} &&` before the command"
    elif package := IN_APT.get(word):
        how = f"put `sudo apt-get install -y {package} &&` before the command"
    else:
        how = "put what installs it before the command"
    return f"the instance has no `{word}`: {how}, or into `user_data` of ec2.yaml"
