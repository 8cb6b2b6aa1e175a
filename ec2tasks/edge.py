"""The edge between Invoke and the stages: options become a call, errors one line, results the exit code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from invoke.context import Context
from invoke.exceptions import Exit

from ec2tasks import report
from ec2tasks.arrival import Call
from ec2tasks.aws import Aws, explain
from ec2tasks.endpoint import AWS, Endpoint
from ec2tasks.errors import INTERRUPTED_CODE, CommandFailed
from ec2tasks.options import RUN_OPTIONS, Ec2Task, Option, setting_values, typed
from ec2tasks.process import Tools
from ec2tasks.project import find_project
from ec2tasks.settings import Settings, plain_values, read_settings
from ec2tasks.state import open_state

Result = TypeVar("Result")
# What chooses the account; the secret that goes with a key is not looked at.
ACCOUNT_NAMES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL")


def ec2_task(*options: Option, name: str | None = None) -> Callable[[Callable[..., int | None]], Ec2Task]:
    """Make a function a task with these options; its errors become one line, its result the exit code."""

    def decorate(body: Callable[..., int | None]) -> Ec2Task:
        @functools.wraps(body)
        def edge(c: Context, **given: Any) -> None:
            code = translated(lambda: body(c, given))
            if code:
                raise CommandFailed(code)

        return Ec2Task(edge, options=options, name=name or body.__name__.strip("_").replace("_", "-"))

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
        failure = explain(error)
        if failure is None:
            raise
        raise failure from error


def make_settings(c: Context, given: Mapping[str, Any], targets: Sequence[str] = ()) -> Settings:
    """The settings of a task called with these options. Raises UsageError for any that is unusable."""
    return read_settings(
        find_project(Path.cwd()),
        options=setting_values(RUN_OPTIONS, given),
        typed=typed(RUN_OPTIONS, given),
        defaults={"final_state": given.get("default_end")},
        invoke_values=plain_values(c.config.get("ec2", {})),
        targets=targets,
    )


def make_call(
    c: Context, given: Mapping[str, Any], targets: Sequence[str] = (), *, asks_anyway: bool = False
) -> Call:
    """Everything a task knows before it asks AWS. Starts the local EC2 where that is the endpoint.

    A dry run does not start it, but for a task that `asks_anyway`, dry or not.
    """
    settings = make_settings(c, given, targets)
    endpoint = _endpoint(settings, dry=is_dry(c, given) and not asks_anyway)
    return Call(
        settings=settings,
        project=find_project(Path.cwd()),
        aws=Aws(endpoint=endpoint, region=settings.region),
        state=open_state(),
        tools=Tools(echo=bool(given.get("echo") or c.config.run.echo)),
        home=Path.home(),
        account=" ".join(os.environ.get(name, "") for name in ACCOUNT_NAMES),
    )


def is_dry(c: Context, given: Mapping[str, Any]) -> bool:
    """Whether only the plan is wanted: by the task's own option, or by Invoke's before the task's name."""
    return bool(given.get("dry") or c.config.run.dry)


def _endpoint(settings: Settings, *, dry: bool) -> Endpoint:
    if settings.endpoint != "local":
        return AWS
    from ec2tasks.local import control

    return Endpoint(name="local") if dry else control.up()


def show_plan(lines: Sequence[str]) -> None:
    """Print what would be done, a line each."""
    for line in lines:
        report.data(f"would {line}")
