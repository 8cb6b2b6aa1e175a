"""The tasks that look after instances without being on one: `status`, `ls`, `reap`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from ec2tasks.aws import instances
from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.leftovers import Leftover
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.cli.options import JSON_OPTION, PLACE_OPTIONS, Option
from ec2tasks.cli.task import ec2_task, is_dry, make_context
from ec2tasks.commands.leftovers import end_volumes, find_leftovers, leftover_json, say_leftovers
from ec2tasks.commands.status import guard_json, instance_json, price_cell, status_lines
from ec2tasks.commands.trust import Acts
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance, host_of
from ec2tasks.lifecycle.reap import (
    Forgotten,
    all_regions,
    begun,
    end_forgotten,
    find_forgotten,
    regions_to_look_in,
    tidy,
)
from ec2tasks.remote.guard_status import GuardStatus, ask_guard, last_words

if TYPE_CHECKING:
    from ec2tasks.base.answers import ForgottenAnswer

ALL_REGIONS = Option(names=("all_regions",), kind=bool, help="in every region of the account")


@ec2_task(JSON_OPTION, *PLACE_OPTIONS)
def status(c: Context, given: Mapping[str, Any]) -> None:
    """Show this project's instance: state, type, place, age, cost; who is on it, when and why it will end."""
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
        _show_table([instance])
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


@ec2_task(
    JSON_OPTION,
    ALL_REGIONS,
    *PLACE_OPTIONS,
)
def ls(c: Context, given: Mapping[str, Any]) -> None:
    """List all your instances that ec2tasks launched in the region, or in all of them.

    Says which disks and addresses are left behind and cost; with --json they stand in the list too, each with
    its `kind`: instance, disk or address.
    """
    context = make_context(c, given, acts=Acts.LOOK)
    context.aws.sign_in()
    regions = all_regions(context.aws) if given["all_regions"] else [context.aws.region]

    def ask(region: str) -> list[Instance]:
        return instances.list_instances(context.aws.in_region(region), owner=context.settings.key_name)

    with ThreadPoolExecutor(max_workers=8) as pool:
        listed = [instance for some in pool.map(ask, regions) for instance in some]
    if listed and not given["json"]:
        _show_table(listed)
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


@ec2_task(
    JSON_OPTION,
    ALL_REGIONS,
    Option(names=("yes", "y"), kind=bool, help="end them without asking"),
    Option(names=("force",), kind=bool, help="end those too that may hold results which were not fetched"),
    Option(names=("dry",), kind=bool, help="only show them"),
    *PLACE_OPTIONS,
)
def reap(c: Context, given: Mapping[str, Any]) -> int:
    """End instances of yours that were forgotten, after showing them.

    Forgotten are those stopped for longer than the setting `reap_after`, and those whose launch was cut short
    before anybody got on them. One that may hold results which were not fetched is only shown, unless with
    `--force`; so is a disk of yours that is on no instance. Asks before it ends anything; without a terminal
    only `--yes` ends anything. With --json, disks and addresses stand in the list too, each with its `kind`.
    """
    context, force = make_context(c, given, acts=Acts.LOOK, asks_anyway=True), given["force"]
    context.aws.sign_in()
    everywhere = all_regions(context.aws) if given["all_regions"] else []
    regions = regions_to_look_in(context, everywhere)
    forgotten = find_forgotten(context, regions, force=force)
    left = find_leftovers(context, regions, [each.instance for each in forgotten])
    if given["json"]:
        output.json([*map(_forgotten_as_json, forgotten), *map(leftover_json, left)])
    else:
        _show_forgotten(forgotten, regions)
    say_leftovers(left)
    doomed = [each for each in forgotten if each.decision.ends]
    disks = [each for each in left if each.kind == "disk" and force]
    if is_dry(c, given):
        return 0
    tidy(context, regions)
    if not (doomed or disks) or not (given["yes"] or _agreed(doomed, disks)):
        return 0
    went_well = [*(_end(each, force=force) for each in doomed), end_volumes(context, disks)]
    return 0 if all(went_well) else FAILURE_CODE


def _forgotten_as_json(forgotten: Forgotten) -> ForgottenAnswer:
    region = forgotten.context.aws.region
    return {
        **instance_json(forgotten.instance),
        "region": region,
        "ends": forgotten.decision.ends,
        "why": forgotten.decision.why,
    }


def _show_forgotten(listed: Sequence[Forgotten], regions: Sequence[str]) -> None:
    if not listed:
        output.step(f"nothing forgotten in {', '.join(regions)}")
        return
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "FATE", "WHY")]
    for forgotten in listed:
        instance, decision = forgotten.instance, forgotten.decision
        what = (instance.name, instance.id, instance.state, instance.type, instance.zone)
        rows.append((*what, "end" if decision.ends else "keep", decision.why))
    output.table(rows)
    for hint in dict.fromkeys(
        _hint(each) for each in listed if each.decision.hint and not each.decision.ends
    ):
        output.hint(hint)


def _hint(forgotten: Forgotten) -> str:
    """What to type where it is kept; its region need not be that of the settings."""
    region = forgotten.context.aws.region
    elsewhere = f" --region {region}" if region != forgotten.context.settings.region else ""
    return str(forgotten.decision.hint).replace("`ec2tasks down`", f"`ec2tasks down{elsewhere}`")


def _agreed(doomed: Sequence[Forgotten], disks: Sequence[Leftover]) -> bool:
    names = [each.instance.where for each in doomed]
    many = f"{len(names)} instances" if len(names) > 1 else "".join(names)
    parts = [f"terminate {many}, disk and all"] if names else []
    parts += [f"delete {', '.join(disk.id for disk in disks)}"] if disks else []
    agreed = output.ask(f"{' and '.join(parts)}?")
    if agreed is None:
        output.hint("`ec2tasks reap --yes` ends what is to end")
    return bool(agreed)


def _end(forgotten: Forgotten, *, force: bool) -> bool:
    """End one of them; one that can't be ended is said, and keeps no other from its end."""
    try:
        ended = end_forgotten(forgotten, force=force)
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        output.warning(
            f"{forgotten.instance.where} could not be ended: {known.what}", lines=known.lines, hint=known.hint
        )
        return False
    output.step(f"{forgotten.instance.where}: {'terminated' if ended else 'kept, for it is in use by now'}")
    return True


def _show_table(listed: Sequence[Instance]) -> None:
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
