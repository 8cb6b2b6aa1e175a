"""Makes functions Invoke tasks: errors become one line, the result the exit code.

A task's module holds what Invoke's parser and help need. What does its work is imported in its body: no list
of tasks, no completion and no other task waits for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from invoke.context import Context
from invoke.exceptions import Exit

from ec2tasks.base import hints
from ec2tasks.base.errors import INTERRUPTED_CODE, CommandFailed, Failure
from ec2tasks.cli.invoked import say_unreached
from ec2tasks.cli.options import Ec2Task, Option

Result = TypeVar("Result")


def ec2_task(*options: Option, name: str | None = None) -> Callable[[Callable[..., int | None]], Ec2Task]:
    """Make a function a task with these options; its errors become one line, its result the exit code."""

    def decorate(body: Callable[..., int | None]) -> Ec2Task:
        @functools.wraps(body)
        def edge(c: Context, **given: Any) -> None:
            with hints.scope():
                try:
                    if code := translated(lambda: body(c, given)):
                        raise CommandFailed(code)
                except Exit:
                    say_unreached(title, given)
                    raise

        title = name or body.__name__.strip("_").replace("_", "-")
        return Ec2Task(edge, options=options, name=title)

    return decorate


def translated(work: Callable[[], Result]) -> Result:
    """Do the work; what a user or AWS can cause becomes a Failure, the rest flies as it is."""
    try:
        return work()
    except Exit:
        raise
    except KeyboardInterrupt as error:
        raise Exit(message="ec2tasks: interrupted", code=INTERRUPTED_CODE) from error
    except Exception as error:
        failure = _explained(error)
        if failure is None:
            raise
        raise failure from error


def _explained(error: Exception) -> Failure | None:
    from ec2tasks.aws.errors import explain
    from ec2tasks.base.writable import explain_refusal

    return explain_refusal(error) or explain(error)
