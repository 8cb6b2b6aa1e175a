"""What a hint tells the user to type: it names the instance that this call is about.

`ec2tasks down` behind `run --region us-east-1` would end another region's instance, and the one meant would
go on costing. So what this call alone was told is told again in each hint.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

# The settings that say which instance is meant and how it is reached, by the option that sets each.
WHERE = {"region": "--region", "endpoint": "--local"}
WHICH = {**WHERE, "name": "--name"}
REACHED = {**WHICH, "user": "--user", "key_file": "-i", "remote_dir": "--remote-dir"}
REACHING = ("run", "make", "shell", "notebook", "up", "sync", "attach", "finish", "jobs", "logs", "down")
TAKEN = {
    **dict.fromkeys(REACHING, REACHED),
    **dict.fromkeys(("status", "reap"), WHICH),
    **dict.fromkeys(("ls", "admin.setup"), WHERE),
}
# Whose instance it is: not every task has an option for that.
OWNER_VARIABLE = "AWS_KEY_NAME"
CALL = re.compile(r"`ec2tasks (?P<task>[a-z][a-z.]*)(?P<rest>[^`]*)`")
_told: dict[str, str] = {}


def repeat(told: Mapping[str, str]) -> None:
    """From now on repeat these settings in each hint: what this call was told and the next won't know."""
    _told.clear()
    _told.update(told)


def whole(text: str) -> str:
    """The text with each call of ec2tasks in it naming the instance that this call is about."""
    return CALL.sub(lambda found: f"`{_call(found['task'], found['rest'])}`", text)


def _call(task: str, rest: str) -> str:
    options = TAKEN.get(task, {})
    missing = {
        option: _told[name]
        for name, option in options.items()
        if name in _told and option not in rest.replace("=", " ").split()
    }
    words = "".join(
        f" {one}" + ("" if one == "--local" else f" {shlex.quote(missing[one])}") for one in missing
    )
    owner = f"{OWNER_VARIABLE}={shlex.quote(_told['key_name'])} " if options and "key_name" in _told else ""
    return f"{owner}ec2tasks {task}{words}{rest}"
