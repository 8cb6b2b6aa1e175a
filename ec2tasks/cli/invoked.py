"""What `inv`, `fab` or `ec2tasks` was called with: the tasks of this call, and Invoke's configuration.

Invoke tells a task nothing of the tasks beside it, and puts a variable over a value before any task begins.
So both are read from the program that this process is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from invoke.collection import Collection
from invoke.config import Config
from invoke.parser.context import ParserContext
from invoke.program import Program

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.config.schema import INVOKE_KEY, KEYS_BY_NAME

PROGRAMS = ("invoke.main", "fabric.main")  # each holds the program that its console script runs
END = "down"

_own: list[Program] = []


def runs(program: Program) -> None:
    """Note that this process is that program's, which no module holds."""
    _own[:] = [program]


def _program() -> Program | None:
    """The program that this process is, if any is known."""
    return next(iter(_own), None) or _invoke_s_own()


def _invoke_s_own() -> Program | None:
    modules = (sys.modules.get(name) for name in PROGRAMS)
    # Fabric brings Invoke's own module along: the one that was given words is the one that runs.
    return next((one.program for one in modules if one and getattr(one.program, "argv", None)), None)


def say_unreached(name: str, given: Mapping[str, Any]) -> None:
    """Say of a task that failed, by its own name and options, that the `down` behind it was not reached."""
    asked = getattr(_program(), "tasks", None)
    if asked and (end := unreached_end(asked, name, given)):
        output.hint(
            f"`{end}`, later in this call, was not reached: `ec2tasks down` ends what is left running"
        )


def unreached_end(asked: Sequence[ParserContext], name: str, given: Mapping[str, Any]) -> str | None:
    """The `down` that the call would have come to after the last task of that name with these options."""
    same = [at for at, one in enumerate(asked) if _last(one) == name and dict(one.as_kwargs) == dict(given)]
    if not same:
        return None  # it was a part of another task, whose own affair what follows is
    return next((str(one.name) for one in asked[same[-1] + 1 :] if _last(one) == END), None)


def _last(context: ParserContext) -> str:
    return str(context.name).rpartition(".")[2]


class Ec2Collection(Collection):
    """A collection that refuses in one line the variable that Invoke would fall over."""

    def task_with_config(self, name: str | None) -> Any:
        """The task and its configuration. Raises UsageError for a variable that Invoke can't take."""
        if config := getattr(_invoke_s_own(), "config", None):
            check_lists(config, os.environ)
        return super().task_with_config(name)


def check_lists(config: Config, environ: Mapping[str, str]) -> None:
    """Raise UsageError for a variable that sets what Invoke's configuration has a list for.

    Invoke does not read a list from a variable
    (https://docs.pyinvoke.org/en/stable/concepts/configuration.html#env-vars).
    """
    values = config.get(INVOKE_KEY)
    for name in values if hasattr(values, "keys") else ():
        key = KEYS_BY_NAME.get(str(name))
        if key and key.invoke_variable in environ and isinstance(values[name], list | tuple):
            raise UsageError(
                f"{key.invoke_variable}: Invoke takes no variable in place of the list that its configuration"
                f" has for `{name}`",
                hint=f"`{name}` in ec2.yaml, not in invoke.yaml, can be replaced by it",
            )
