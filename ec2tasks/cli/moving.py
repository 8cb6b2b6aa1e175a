"""What `up`, `sync` and `down` do: from their options to the instance, the files or its end; or to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.aws.prices import price_text
from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.cli.context import is_dry, make_context, show_plan
from ec2tasks.cli.options import final_state, is_verbose
from ec2tasks.commands import plan
from ec2tasks.commands import sync as sync_commands
from ec2tasks.commands.down import down
from ec2tasks.commands.preflight import check_push, foretell
from ec2tasks.commands.trust import Acts
from ec2tasks.commands.up import up
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.sync import diff_view


def bring_up(c: Context, given: Mapping[str, Any]) -> None:
    """Bring the project's instance up, and print where it is and what it costs."""
    context = make_context(c, given)
    if is_dry(c, given):
        check_local_tools(context)
        foretell(context)
        return show_plan(plan.up_lines(context))
    instance = up(context)
    output.data(
        f"{instance.where} at {instance.address or instance.private_address}, {price_text(instance.price)}"
    )
    output.hint('`ec2tasks run "COMMAND"` runs there, `ec2tasks down` ends it')
    return None


def move(c: Context, given: Mapping[str, Any]) -> None:
    """Push, pull, or show what would move."""
    if given["json"] and not given["diff"]:
        raise UsageError("--json goes with --diff alone", hint="`ec2tasks sync --diff --json`")
    both = given["push"] == given["pull"]
    verbose = is_verbose(given)
    pushes = (both or given["push"]) and not given["diff"]
    context = make_context(c, given, acts=Acts.PUSH if pushes else Acts.LAUNCH)
    if given["diff"]:
        changes = sync_commands.differences(context)
        return diff_view.show_json(changes) if given["json"] else diff_view.show(changes)
    check_local_tools(context)
    if both or given["push"]:
        check_push(context)
    if is_dry(c, given):
        return show_plan(plan.sync_lines(context, push=both or given["push"], pull=both or given["pull"]))
    sync_commands.sync(context, push=both or given["push"], pull=both or given["pull"], verbose=verbose)
    return None


def end(c: Context, given: Mapping[str, Any]) -> int:
    """Pull and end the instance; the exit code."""
    wanted = FinalState(final_state(given) or "terminate")
    fetch, verbose = not given["no_rsync"], is_verbose(given)
    context = make_context(c, given, acts=Acts.LOOK)
    if is_dry(c, given):
        show_plan(plan.down_lines(context, wanted, fetch=fetch))
        return 0
    return down(context, wanted, fetches=fetch, verbose=verbose)
