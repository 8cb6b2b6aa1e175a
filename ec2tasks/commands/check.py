"""Looks at all that a run needs, here and in the account, and changes nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

from ec2tasks.aws.examine import Seen, answer_or_failure, examine, identity
from ec2tasks.aws.instances import UP, Instance
from ec2tasks.aws.key_pairs import has_private_half
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.hints import complete
from ec2tasks.base.process import Tools
from ec2tasks.base.state import check_state
from ec2tasks.commands.findings import Finding, Level, each_failure_once, findings, of_failure, ok
from ec2tasks.commands.preflight import check_push
from ec2tasks.commands.trust import Acts, Gate, pass_gate
from ec2tasks.lifecycle.account import check_account
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance
from ec2tasks.lifecycle.pricing import ask_rates

TO_MEND = 1  # the exit code where something keeps a run from working
PRICES_PATIENCE = 20.0  # seconds
COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.MEND: "red"}


def check(context: CallContext, gate: Gate) -> list[Finding]:
    """How each thing stands that a run needs: here, then in the account."""
    found = list(each_failure_once(local_findings(context, gate)))
    region = _attempt("region", context.aws.check_region, context.settings.region)
    if region.level is Level.MEND:
        return [*found, region]
    found.append(region)
    who = answer_or_failure(lambda: identity(context.aws))  # before all else: it may ask for a code
    if isinstance(who, Failure):
        return [*found, of_failure("credentials", who)]
    if not context.aws.endpoint.is_own:
        found.append(_account(context, who.account))
    told = ask_rates(context, patience=PRICES_PATIENCE)
    seen = examine(context.aws, context.settings, who)
    port, has_key = context.aws.endpoint.ssh_port, _has_key(context, seen)
    running = running_instance(context)
    return [
        *found,
        *findings(seen, told(), context.settings, port=port, has_key=has_key, running=running),
    ]


def local_findings(context: CallContext, gate: Gate) -> list[Finding]:
    """What this machine alone can tell."""
    return [
        ok("versions", versions_text()),
        _attempt("tools", lambda: check_local_tools(context), tools_text(context.tools)),
        _attempt("state", lambda: check_state(context.state), f"{context.state.folder} can be written"),
        _attempt("project", lambda: check_push(context), f"{context.project.root}"),
        _attempt(
            "trust", lambda: pass_gate(gate, Acts.PUSH, asks=False), "its files wish nothing that is open"
        ),
    ]


def running_instance(context: CallContext) -> str:
    """The project's instance, where one is up; empty where none is, or that can't be told."""
    found = answer_or_failure(lambda: find_instance(context))
    return found.where if isinstance(found, Instance) and found.state in UP else ""


def _account(context: CallContext, number: str) -> Finding:
    """Whether the account is the one that the settings name, where they do."""
    return _attempt("account", lambda: check_account(context.settings, number, os.environ), number)


def _attempt(name: str, act: Callable[[], None], well: str) -> Finding:
    try:
        act()
    except Failure as failure:
        return of_failure(name, failure)
    return ok(name, well)


def _has_key(context: CallContext, seen: Seen) -> bool:
    """Whether the private half of the key pair is here, as far as that can be told."""
    if not isinstance(seen.key, str) or not seen.key:
        return True
    settings = context.settings
    return has_private_half(seen.key, settings.key_file, settings.key_name, context.home, context.tools)


def versions_text() -> str:
    """The versions of ec2tasks, Python, and what asks AWS."""
    names = ", ".join(f"{name} {_version(name)}" for name in ("ec2tasks", "boto3", "invoke", "fabric"))
    return f"{names}, Python {platform.python_version()} on {platform.system()}"


def _version(name: str) -> str:
    """The version of an installed package; what runs from its source alone has none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def tools_text(tools: Tools) -> str:
    """The versions of the local tools, as they tell them."""
    return "; ".join(_version_line(tools, argv) for argv in (["ssh", "-V"], ["rsync", "--version"]))


def _version_line(tools: Tools, argv: Sequence[str]) -> str:
    """The first line of what a tool tells of its version; empty where it is missing."""
    try:
        said = tools.capture(argv)
    except Failure:
        return ""
    lines = (said.stdout or said.stderr).decode(errors="replace").splitlines()
    return " ".join(lines[0].split()) if lines else ""


def show(found: Sequence[Finding]) -> None:
    """Print each finding on a line, with what to type below it."""
    for one in found:
        output.data(f" {one.name:14}  {one.text}", label=f"{one.level.value:7}", colour=COLOURS[one.level])
        if one.hint:
            output.data(f" {complete(one.hint)}", label="   hint:", colour="cyan")
    worst = [one.name for one in found if one.level is Level.MEND]
    if worst:
        output.step(f"to mend before a run: {', '.join(worst)}")
    else:
        output.hint('nothing keeps a run from working: `ec2tasks run "COMMAND"`')


class FindingAnswer(TypedDict):
    """One thing that was looked at: ok, warning or mend, and what to type."""

    name: str
    level: str
    text: str
    hint: str | None


class CheckAnswer(TypedDict):
    """Each thing that was looked at; `ok` where nothing keeps a run from working."""

    ok: bool
    findings: list[FindingAnswer]


def check_json(found: Sequence[Finding]) -> CheckAnswer:
    """The findings as JSON can hold them."""
    listed: list[FindingAnswer] = [
        {"name": one.name, "level": one.level.value, "text": one.text, "hint": one.hint} for one in found
    ]
    return {"ok": exit_code(found) == 0, "findings": listed}


def exit_code(found: Sequence[Finding]) -> int:
    """0, also with warnings; `TO_MEND` where something keeps a run from working."""
    return TO_MEND if any(one.level is Level.MEND for one in found) else 0
