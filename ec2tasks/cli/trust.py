"""The task `trust`: what the project's own files wish beyond its folder, and the user's yes to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import Option
from ec2tasks.cli.task import ec2_task


@ec2_task(
    Option(names=("yes", "y"), kind=bool, help="agree to all of it without being asked"),
    Option(names=("revoke",), kind=bool, help="take back what was agreed to for this folder"),
)
def trust(c: Context, given: Mapping[str, Any]) -> None:
    """Show what the project's own files wish beyond its folder, and agree to it once asked.

    Those are its ec2.yaml, with every recipe in it, invoke.yaml, .env, and links that lead out of the folder.
    What you agree to is kept on this machine, for this folder and exactly that; without a yes, no task acts
    on it. Links into stores of keys or tokens are refused, whatever you say.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_gate
    from ec2tasks.commands.trust import all_wishes, settle
    from ec2tasks.config.trust_store import revoke

    gate = make_gate(c, given)
    if given["revoke"]:
        taken = revoke(gate.state, gate.root)
        output.step("taken back" if taken else f"nothing was agreed to for `{gate.root}`")
        return
    recipes = [make_gate(c, given, [name]).settings for name in gate.settings.recipes]
    settle(gate, all_wishes(gate, recipes), yes=given["yes"])
