"""The task `ssh-config`: the user's own ssh, and every editor that uses it, reaches the instances by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import REACH_OPTIONS, Option
from ec2tasks.cli.task import ec2_task


@ec2_task(
    Option(names=("remove",), kind=bool, help="take the entries and that line away again"),
    *REACH_OPTIONS,
)
def ssh_config(c: Context, given: Mapping[str, Any]) -> None:
    """Let `ssh ec2-NAME`, scp, rsync, VS Code and PyCharm reach the instance; prints that name.

    One line at the top of ~/.ssh/config includes a file of ec2tasks' own. From then on each instance has its
    entry there while it runs, with its host key, your key and the way in, whichever project it is of.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import is_dry, make_context, show_plan
    from ec2tasks.commands import ssh_config as commands

    context = make_context(c, given)
    if is_dry(c, given):
        return show_plan(commands.plan_lines(context.state, context.home, removes=given["remove"]))
    if given["remove"]:
        ended = commands.end(context.state, context.home)
        return output.step("taken away" if ended else "there was nothing to take away")
    if alias := commands.begin(context):
        output.data(alias)
        output.hint(f"`ssh {alias}` goes there, as do scp, rsync and VS Code's `Remote-SSH: Connect to Host`")
    return None
