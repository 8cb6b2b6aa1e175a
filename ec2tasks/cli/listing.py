"""What `status` and `ls` show: instances as rows or JSON, what their guards say, what is left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from invoke.context import Context

from ec2tasks.aws import instances
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.cli.context import make_context
from ec2tasks.commands.leftovers import find_leftovers, leftover_json, say_leftovers
from ec2tasks.commands.status import guard_json, instance_json, price_cell, status_lines
from ec2tasks.commands.trust import Acts
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance, forget_gone, host_of
from ec2tasks.lifecycle.reap import all_regions, begun
from ec2tasks.remote.guard_status import GuardStatus, ask_guard, last_words


def show_instance(c: Context, given: Mapping[str, Any]) -> None:
    """Show the project's instance, and when and why it will end."""
    context = make_context(c, given, acts=Acts.LOOK)
    instance = find_instance(context)
    if instance is None:
        if given["json"]:
            output.json(None)
        else:
            output.step(f"no instance `{context.settings.name}` in {context.aws.region}")
            output.hint("`ec2tasks up` launches it, `ec2tasks ls` lists yours")
        return
    guard, lines = _forecast(context, instance)
    if given["json"]:
        values = {**instance_json(instance), **guard_json(guard, lines)}
        output.json(values)
    else:
        show_table([instance])
        for line in lines:
            output.data(line)


def _forecast(context: CallContext, instance: Instance) -> tuple[GuardStatus | None, list[str]]:
    """What the instance's guard says of its end, and that in words; nothing is started for it."""
    guard, words = None, None
    reached = instance.address_by(context.settings.via) and (context.settings.user or instance.user)
    if instance.state == "running" and reached:
        guard = ask_guard(host_of(context, instance), context.tools)
    elif instance.state in instances.HALTED:
        words = last_words(context.aws, instance)
    return guard, status_lines(instance, guard, words)


def list_all(c: Context, given: Mapping[str, Any]) -> None:
    """Show the user's instances of the region, or of all, and what is left behind."""
    context = make_context(c, given, acts=Acts.LOOK)
    context.aws.sign_in()
    regions = all_regions(context.aws) if given["all_regions"] else [context.aws.region]

    def ask(region: str) -> list[Instance]:
        found = instances.list_instances(context.aws.in_region(region), owner=context.settings.key_name)
        forget_gone(context, region, found)
        return found

    with ThreadPoolExecutor(max_workers=8) as pool:
        listed = [instance for some in pool.map(ask, regions) for instance in some]
    if listed and not given["json"]:
        show_table(listed)
    elif not listed:
        output.step(f"no instance of `{context.settings.key_name}` in {', '.join(regions)}")
    _say_unfinished(context, listed, regions)
    left = find_leftovers(context, regions, listed)
    say_leftovers(left)
    if given["json"]:
        output.json([*map(instance_json, listed), *map(leftover_json, left)])


def _say_unfinished(context: CallContext, listed: Sequence[Instance], regions: Sequence[str]) -> None:
    """Tell of launches from here that nobody got on, where what they launched is not in the list."""
    for entry in begun(context):
        if entry.is_old() or any(entry.asked_for(instance.token) for instance in listed):
            continue
        place = entry.place
        output.warning(
            f"a launch of `{place.name}` in {place.region} was begun and not ended",
            hint="`ec2tasks run` goes on with it; AWS may take a minute to show what it launched"
            if place.region in regions
            else f"`ec2tasks ls --region {place.region}` shows what it launched",
        )


def show_table(listed: Sequence[Instance]) -> None:
    """Show the instances as a table."""
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "ADDRESS", "SINCE START", "PRICE", "COST")]
    now = datetime.now(timezone.utc)
    for instance in listed:
        spent = instance.cost_until(now)
        age = _since_start(instance, now)
        cost = "-" if spent is None else f"${spent:.2f}"
        rows.append(
            (
                instance.name,
                instance.id,
                instance.state,
                instance.type,
                instance.zone,
                instance.address or instance.private_address or "-",
                age,
                price_cell(instance),
                cost,
            )
        )
    output.table(rows)


def _since_start(instance: Instance, now: datetime) -> str:
    """How long it has run; of instance that does not, for how long it has not, where AWS tells."""
    if instance.state in instances.UP:
        return duration((now - instance.launched).total_seconds())
    return f"stopped for {duration((now - instance.stopped).total_seconds())}" if instance.stopped else "-"
