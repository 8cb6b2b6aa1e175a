"""What a hint tells the user to type: it names the instance that its error is about.

`ec2tasks down` behind `run --region us-east-1` would end another region's instance, and the one meant would
go on costing. So what one call alone was told is told again in each of its hints, and in no other call's: it
lives in a scope of the call's own, and every error takes it along from where it was raised.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

# The settings that say which instance is meant and how it is reached, by the option that sets each.
WHERE = {"region": "--region", "endpoint": "--local"}
WHICH = {**WHERE, "name": "--name"}
REACHED = {**WHICH, "user": "--user", "key_file": "-i", "remote_dir": "--remote-dir"}
REACHING = (
    "run",
    "make",
    "shell",
    "notebook",
    "up",
    "sync",
    "attach",
    "finish",
    "cancel",
    "jobs",
    "logs",
    "ports",
    "down",
    "ssh-config",
)
TAKEN = {
    **dict.fromkeys(REACHING, REACHED),
    **dict.fromkeys(("status", "reap"), WHICH),
    **dict.fromkeys(("ls", "admin.setup"), WHERE),
}
# Whose instance it is, and in which account: no option says these to every task.
VARIABLES = {"profile": "AWS_PROFILE", "key_name": "AWS_KEY_NAME"}
# The profile that AWS is asked with, whoever said it: the AWS CLI reads no ec2.yaml.
CLI_PROFILE = "cli_profile"
CLI_CALL = re.compile(r"`aws (?!configure)(?P<words>[^`]*)`")
CALL = re.compile(r"`ec2tasks (?P<task>[a-z][a-z.-]*)(?P<rest>[^`]*)`")
Reference = Mapping[str, str]
_reference: ContextVar[Reference | None] = ContextVar("the instance that a hint names", default=None)


@contextlib.contextmanager
def scope() -> Iterator[None]:
    """Keep the instance that is named inside to what is inside: the call around it is about another."""
    token = _reference.set(_reference.get())
    try:
        yield
    finally:
        _reference.reset(token)


def name_instance(reference: Reference) -> None:
    """Name this instance in each hint, until the scope ends: the settings that the next call won't know."""
    _reference.set(dict(reference))


def named_instance() -> Reference:
    """The settings that hints repeat here."""
    return _reference.get() or {}


def complete(text: str, reference: Reference | None = None) -> str:
    """The text with each call of ec2tasks in it naming the instance: this one, else the scope's."""
    told = named_instance() if reference is None else reference
    if profile := told.get(CLI_PROFILE):
        text = CLI_CALL.sub(lambda match: f"`{_cli_call(match['words'], profile)}`", text)
    return CALL.sub(lambda match: f"`{_call(match['task'], match['rest'], told)}`", text)


def _cli_call(words: str, profile: str) -> str:
    return f"aws {words}" + ("" if "--profile" in words else f" --profile {shlex.quote(profile)}")


def _call(task: str, rest: str, told: Reference) -> str:
    options = TAKEN.get(task, {})
    missing = {
        option: told[name]
        for name, option in options.items()
        if name in told and option not in rest.replace("=", " ").split()
    }
    words = "".join(
        f" {option}" + ("" if option == "--local" else f" {shlex.quote(value)}")
        for option, value in missing.items()
    )
    before = "".join(
        f"{variable}={shlex.quote(told[name])} "
        for name, variable in VARIABLES.items()
        if options and name in told
    )
    return f"{before}ec2tasks {task}{words}{rest}"
