"""The environment of a run: chosen by the instance, built there where it is missing, beside the push."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import in_background
from ec2tasks.base.waiting import waiting
from ec2tasks.environment.request import EnvironmentRequest, build_request, environment_request
from ec2tasks.environment.said import chosen_text, difference_lines, environment_line, why_text
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote.environment import Choice, build, choice_there, packages_there, read_choice
from ec2tasks.remote.folder import BrokenConnectionError
from ec2tasks.remote.job import forwarded

if TYPE_CHECKING:
    from ec2tasks.base.answers import EnvironmentAnswer

RECONNECTS = 3
# Variables of the tools that build: indexes with their names and tokens, proxies.
OF_BUILDERS = re.compile(r"(?:UV|PIP|POETRY|PDM|CONDA|MAMBA|PIXI)_\w+|\w+_PROXY|\w+_proxy")
Finish = Callable[[Timings], None]


def wanted_environment(context: CallContext, environ: Mapping[str, str] = os.environ) -> EnvironmentRequest:
    """Which environment a command of this call is to run in. Raises UsageError for a file that is missing."""
    settings = context.settings
    return environment_request(context.project, settings.env, settings.remote_dir, environ)


def begin(lease: Lease, request: EnvironmentRequest, variables: Mapping[str, str]) -> Finish:
    """Say which environment the job takes, or begin to build it; the function returned waits for it.

    What needs the project's other files there is begun only then, when these have arrived. Raises BuildError.
    """
    choice = read_choice(lease.session.environment if lease.session else "")
    if not choice.missing:
        if line := environment_line(request, choice.word, choice.about):
            output.step(line)
        return lambda _: None
    assert request.source is not None
    output.step(f"environment: {request.label}, to be built there, once")
    began = time.monotonic()
    make = partial(_build, lease, request, variables)
    answer = make if request.source.tree else in_background(make)

    def finish(timings: Timings) -> None:
        with timings.time("environment"):
            _wait(lease, request, answer, make, began)

    return finish


def _build(lease: Lease, request: EnvironmentRequest, variables: Mapping[str, str]) -> Choice:
    data = build_request(request, lease.context.settings.remote_dir, of_builders(variables))
    return build(lease.host, lease.context.tools, data, request.label, output.step)


def of_builders(variables: Mapping[str, str]) -> dict[str, str]:
    """Of these variables those that a tool which builds reads."""
    return {name: value for name, value in variables.items() if OF_BUILDERS.fullmatch(name)}


def _wait(
    lease: Lease,
    request: EnvironmentRequest,
    answer: Callable[[], Choice],
    again: Callable[[], Choice],
    began: float,
) -> None:
    """Wait for the environment; over another connection where this one broke, for it is built on there."""
    for left in range(RECONNECTS, -1, -1):
        try:
            usual = lease.context.usual(f"environment {request.key}", lease.instance.type)
            with waiting(f"the environment from {request.label}", usual=usual):
                choice = answer()
            break
        except BrokenConnectionError:
            if not left or not lease.is_up():
                raise
            output.step("connection lost, asking for the environment again")
            lease.reconnect()
            answer = again
    seconds = time.monotonic() - began
    output.step(environment_line(request, choice.word, choice.about, seconds))


def explain(context: CallContext, request: EnvironmentRequest) -> list[str]:
    """Which environment a run takes, why, where it is, what differs from here; nothing is launched for it."""
    lines = [f"taken: {chosen_text(request)}", f"why: {why_text(request)}"]
    try:
        host = connect_running(context)
    except Failure as failure:
        return [*lines, f"there: {failure.what}{'; the next run builds it' if request.key else ''}"]
    settings = context.settings
    choice = choice_there(
        host, context.tools, request, remote_dir=settings.remote_dir, below=str(context.project.below)
    )
    if choice.missing:
        return [*lines, f"there: not yet on {host.instance_id}, the next run builds it"]
    taken = environment_line(request, choice.word, choice.about)
    if choice.word != "built":
        return [*lines, f"there: {taken or 'none of that name'}"]
    lines.append(f"there: ~/.ec2tasks/env/{request.key} on {host.instance_id}: {taken}")
    differences = difference_lines(request.here, packages_there(host, context.tools, request.key))
    here = request.here.label if request.here else ""
    return [*lines, *([f"differs from {here}:", *differences] if differences else [])]


def environment_json(request: EnvironmentRequest, lines: list[str]) -> EnvironmentAnswer:
    """The same as JSON can hold it."""
    why = why_text(request)
    return {"environment": request.key or None, "source": request.label, "why": why, "outlook": lines}


def rebuild(
    context: CallContext, request: EnvironmentRequest, environ: Mapping[str, str] = os.environ
) -> None:
    """Build the environment of the running instance anew. Raises UsageError where none is built for a run."""
    if not request.key:
        raise UsageError(
            "no environment is built for a run here", hint="`ec2tasks env` says what is taken, and why"
        )
    host, began = connect_running(context), time.monotonic()
    variables = of_builders(forwarded(context.settings.forward_env, environ))
    data = build_request(request, context.settings.remote_dir, variables, rebuild=True)
    with waiting(f"the environment from {request.label}"):
        choice = build(host, context.tools, data, request.label, output.step)
    output.step(environment_line(request, choice.word, choice.about, time.monotonic() - began))
