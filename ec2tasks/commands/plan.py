"""What a task would do, in words: from settings, files and what is known here, so that it costs nothing."""

from __future__ import annotations

from pathlib import Path

from ec2tasks.aws.prices import offer_text, price_of
from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.environment import wanted_environment
from ec2tasks.config.way import VIA_PUBLIC
from ec2tasks.environment.said import chosen_text
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.pricing import remembered_rates


def up_lines(context: CallContext) -> list[str]:
    """How `up` would get to the instance, and what that would cost."""
    settings = context.settings
    kind = "spot instance" if settings.spot else "instance"
    return [
        f"find {kind} `{settings.name}` in {settings.region}, or launch it:"
        f" {' or '.join(settings.instance_type)}, image `{settings.image}`, key pair `{settings.key_name}`",
        price_line(context),
    ]


def price_line(context: CallContext) -> str:
    """What a launch would cost, by what this machine knows: a plan asks nobody.

    At the spot price AWS takes no more than on demand.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances-history.html
    """
    settings, rates = context.settings, remembered_rates(context)
    disk_gb = settings.disk_gb or 0
    prices = [
        price_of(rates, name, disk_gb=disk_gb, public=settings.via == VIA_PUBLIC)
        for name in settings.instance_type
    ]
    bound = " at most, at the spot price," if settings.spot else ""
    return f"pay{bound} {offer_text(prices)}"


def push_line(context: CallContext) -> str:
    """Where the files would go."""
    return f"push {context.project.root}/ to ~/{context.settings.remote_dir}/"


def pull_line(context: CallContext) -> str:
    """Where the files would come from."""
    return f"pull ~/{context.settings.remote_dir}/ to {context.project.root}/"


def end_line(context: CallContext) -> str:
    """What would become of the instance; an end that nobody asked for is for what the call launches."""
    asked = context.settings.given("final_state")
    found = "" if asked else ", if it is launched for this; else leave it as it was found"
    return f"{context.settings.final_state} the instance{found}"


def sync_lines(context: CallContext, *, push: bool, pull: bool) -> list[str]:
    """What `sync` would move."""
    return [*([push_line(context)] if push else []), *([pull_line(context)] if pull else [])]


def run_lines(context: CallContext, command: str | None, *, sync: bool) -> list[str]:
    """What `run` would do, first to last."""
    where = Path("~") / context.settings.remote_dir / context.project.below
    return [
        *up_lines(context),
        *([push_line(context)] if sync else []),
        f"use {chosen_text(wanted_environment(context))}",
        f"run in {where}: {command or 'a shell'}",
        *([pull_line(context)] if sync else []),
        end_line(context),
    ]


def down_lines(context: CallContext, wanted: FinalState, *, fetch: bool) -> list[str]:
    """What `down` would do."""
    return [*([pull_line(context)] if fetch else []), f"{wanted.value} instance `{context.settings.name}`"]
