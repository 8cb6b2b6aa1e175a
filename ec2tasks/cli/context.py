"""From a task's options to the context of its call: settings, the gate, AWS, the local EC2 if meant."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.aws.client import Aws
from ec2tasks.aws.login import Login
from ec2tasks.base import hints, output
from ec2tasks.base.endpoint import AWS, Endpoint
from ec2tasks.base.process import Tools
from ec2tasks.base.project import find_project
from ec2tasks.base.state import lock, open_state
from ec2tasks.cli.options import RUN_OPTIONS, setting_values, typed
from ec2tasks.cli.task import translated
from ec2tasks.commands.trust import Acts, Gate, pass_gate
from ec2tasks.config.invoke import plain_values
from ec2tasks.config.layers import Kind
from ec2tasks.config.schema import KEYS_BY_NAME
from ec2tasks.config.settings import Settings, read_settings
from ec2tasks.lifecycle.account import Asking, account_of, chosen_profile
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.make.flags import parse_makeflags


def make_settings(c: Context, given: Mapping[str, Any], targets: Sequence[str] = ()) -> Settings:
    """Settings of a task called with these options. Raises UsageError for any that is unusable."""
    return read_settings(
        find_project(Path.cwd()),
        options=setting_values(RUN_OPTIONS, given),
        typed=typed(RUN_OPTIONS, given),
        defaults={"final_state": given.get("default_end")},
        invoke_values=plain_values(c.config.get("ec2")),
        targets=targets,
    )


def make_gate(c: Context, given: Mapping[str, Any], targets: Sequence[str] = ()) -> Gate:
    """What the project's own files wish is looked at by, before anything is done."""
    return Gate(
        settings=make_settings(c, given, targets),
        project=find_project(Path.cwd()),
        state=open_state(),
        tools=Tools(echo=bool(given.get("echo") or c.config.run.echo)),
        home=Path.home(),
    )


def make_context(
    c: Context,
    given: Mapping[str, Any],
    targets: Sequence[str] = (),
    *,
    acts: Acts = Acts.LAUNCH,
    asks: bool = True,
    asks_anyway: bool = False,
    knows_account: bool = True,
) -> CallContext:
    """The context of a task that `acts` on so much. Starts the local EC2 where that is the endpoint.

    A dry run does not start it, but for a task that `asks_anyway`, dry or not. Raises NotTrustedError where
    the project's own files wish for something beyond it, and the user has not agreed, asked (`asks`) or not.
    Without `knows_account` the account is not looked at: what this machine remembers of instances is no use.
    """
    gate = make_gate(c, given, targets)
    settings = gate.settings
    dry = is_dry(c, given) and not asks_anyway
    hints.name_instance({**told_once(settings), **_of_cli(settings)})
    pass_gate(gate, acts, asks=asks, dry=dry)
    profile = chosen_profile(settings, os.environ)
    # A plan needs no credentials, and the user may not have agreed to that profile.
    login = Login(profile=None if dry else profile, alone=lambda: lock(gate.state, "login"))
    aws = Aws(endpoint=_endpoint(settings, dry=dry), region=settings.region, login=login)
    asking = Asking(
        aws=aws,
        settings=settings,
        state=gate.state,
        home=gate.home,
        environ=os.environ,
        profile=profile,
        asks=not dry,
    )
    return CallContext(
        settings=settings,
        project=gate.project,
        aws=aws,
        state=gate.state,
        tools=gate.tools,
        home=gate.home,
        reuse=bool(given.get("reuse")),
        whose=functools.cache(lambda: translated(lambda: account_of(asking)) if knows_account else ""),
    )


def _of_cli(settings: Settings) -> dict[str, str]:
    """The profile that the AWS CLI must be told in a hint: it reads no ec2.yaml."""
    by_key = settings.endpoint == "local" or os.environ.get("AWS_ACCESS_KEY_ID")
    return {} if by_key or not settings.profile else {hints.CLI_PROFILE: settings.profile}


def told_once(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What this call was told of the instance and a plain `ec2tasks down` in this folder would not know.

    That is by an option, for one recipe, by Invoke's own configuration or by the make around it: a variable
    of its command line, or one that a Makefile exports.
    """
    of_make = {
        word.partition("=")[0].rstrip(" :+?!")
        for word in parse_makeflags(environ.get("MAKEFLAGS", ""), jobs=1)[1]
    }
    told = {}
    for name in (*hints.REACHED, *hints.VARIABLES):
        kind = settings.sources[name].kind
        exported = "MAKELEVEL" in environ and name in ("region", "name")
        from_make = exported or of_make.intersection(KEYS_BY_NAME[name].variables)
        if kind in (Kind.OPTION, Kind.PASSING) or (kind is Kind.VARIABLE and from_make):
            told[name] = str(getattr(settings, name))
    return told


def is_dry(c: Context, given: Mapping[str, Any]) -> bool:
    """Whether only the plan is wanted: by the task's own option, or by Invoke's before the task's name."""
    return bool(given.get("dry") or c.config.run.dry)


def _endpoint(settings: Settings, *, dry: bool) -> Endpoint:
    if settings.endpoint != "local":
        return AWS
    from ec2tasks.local import control

    return control.running() or Endpoint(name="local") if dry else control.up()


def show_plan(lines: Sequence[str]) -> None:
    """Print what would be done, a line each."""
    for line in lines:
        output.data(f"would {line}")
