"""What ec2tasks says when something that a user or AWS can cause goes wrong.

Invoke prints the message of an `Exit` on stderr without a traceback and exits with its code
(https://docs.pyinvoke.org/en/stable/api/exceptions.html#invoke.exceptions.Exit).
"""

from __future__ import annotations

from collections.abc import Sequence

from invoke.exceptions import Exit

from ec2tasks.base.hints import complete, named_instance
from ec2tasks.base.shown import shown

USAGE_CODE = 2
FAILURE_CODE = 125
INTERRUPTED_CODE = 130


class Failure(Exit):
    """Something expected went wrong: what happened, with the value, then what to type.

    `what`, `lines` and `hint` are plain, for whoever says them; the message is what is printed. `lines` are
    somebody else's. `reference` names the instance that it is about, wherever it is caught and shown.
    """

    exit_code = FAILURE_CODE

    def __init__(self, what: str, *, lines: Sequence[str] = (), hint: str | None = None) -> None:
        self.what = what
        self.lines = lines
        self.hint = hint
        self.reference = named_instance()
        text = [f"ec2tasks: {shown(what)}", *(f"    {shown(line)}" for line in lines)]
        if hint:
            text.append(f"hint: {shown(complete(hint, self.reference))}")
        super().__init__(message="\n".join(text), code=self.exit_code)

    def __str__(self) -> str:
        return "\n".join([self.what, *self.lines])


class UsageError(Failure):
    """What was asked for can't be understood or contradicts itself; nothing was done."""

    exit_code = USAGE_CODE


class CommandFailed(Exit):
    """The command on the instance ended with a code other than 0; ec2tasks ends with the same."""

    def __init__(self, code: int) -> None:
        super().__init__(message=None, code=code)
