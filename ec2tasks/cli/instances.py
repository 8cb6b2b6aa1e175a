"""The tasks that look after instances without being on one: `status`, `ls`, `reap`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from invoke.context import Context

from ec2tasks.aws import instances
from ec2tasks.aws.errors import explain
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.cli.options import JSON_OPTION, PLACE_OPTIONS, Option
from ec2tasks.cli.task import ec2_task, is_dry, make_call
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.acquire import find, host_of
from ec2tasks.lifecycle.context import Call
from ec2tasks.lifecycle.reap import (
    Forgotten,
    all_regions,
    begun,
    end_forgotten,
    find_forgotten,
    regions_to_look_in,
    tidy,
)
from ec2tasks.remote import guard_status as outlook

ALL_REGIONS = Option(names=("all_regions",), kind=bool, help="in every region of the account")


@ec2_task(JSON_OPTION, *PLACE_OPTIONS)
def status(c: Context, given: Mapping[str, Any]) -> None:
    """Show this project's instance: state, type, place, age, cost; who is on it, when and why it will end."""
    call = make_call(c, given)
    found = find(call)
    if found is None:
        if given["json"]:
            output.data("null")
        else:
            output.step(f"no instance `{call.settings.name}` in {call.aws.region}")
            output.hint("`ec2tasks up` launches it, `ec2tasks ls` lists yours")
        return
    foreseen, lines = _foreseen(call, found)
    if given["json"]:
        whole = {**outlook.facts(found), **outlook.described(foreseen, lines)}
        output.data(json.dumps(whole, indent=2))
    else:
        _table([found])
        for line in lines:
            output.data(line)


def _foreseen(call: Call, found: instances.Instance) -> tuple[outlook.GuardStatus | None, list[str]]:
    """What the instance's guard says, asked where it runs; nothing is started for it."""
    foreseen, said = None, None
    if found.state == "running" and found.address and (call.settings.user or found.user):
        foreseen = outlook.ask(host_of(call, found), call.tools)
    elif found.state in instances.HALTED:
        said = outlook.last_words(call.aws, found)
    return foreseen, outlook.words(found, foreseen, said)


@ec2_task(
    JSON_OPTION,
    ALL_REGIONS,
    *PLACE_OPTIONS,
)
def ls(c: Context, given: Mapping[str, Any]) -> None:
    """List all your instances that ec2tasks launched in the region, or in all of them."""
    call = make_call(c, given)
    regions = all_regions(call.aws) if given["all_regions"] else [call.aws.region]

    def ask(region: str) -> list[instances.Instance]:
        return instances.list_instances(call.aws.in_region(region), owner=call.settings.key_name)

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = [one for many in pool.map(ask, regions) for one in many]
    if given["json"]:
        output.data(json.dumps([outlook.facts(one) for one in found], indent=2))
    elif found:
        _table(found)
    else:
        output.step(f"no instance of `{call.settings.key_name}` in {', '.join(regions)}")
    _say_unfinished(call, found, regions)


def _say_unfinished(call: Call, found: Sequence[instances.Instance], regions: Sequence[str]) -> None:
    """Tell of launches from here that nobody got on, where what they launched is not in the list."""
    for entry in begun(call):
        if entry.is_old() or any(entry.asked_for(one.token) for one in found):
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
    `--force`. Asks before it ends anything; without a terminal only `--yes` ends anything.
    """
    call, force = make_call(c, given, asks_anyway=True), given["force"]
    everywhere = all_regions(call.aws) if given["all_regions"] else []
    regions = regions_to_look_in(call, everywhere)
    found = find_forgotten(call, regions, force=force)
    if given["json"]:
        output.data(json.dumps([_forgotten_as_json(one) for one in found], indent=2))
    else:
        _show_forgotten(found, regions)
    doomed = [one for one in found if one.fate.ends]
    if is_dry(c, given):
        return 0
    tidy(call, regions)
    if not doomed or not (given["yes"] or _agreed(doomed)):
        return 0
    went_well = [_end(one, force=force) for one in doomed]
    return 0 if all(went_well) else FAILURE_CODE


def _forgotten_as_json(one: Forgotten) -> dict[str, object]:
    region = one.call.aws.region
    return {**outlook.facts(one.instance), "region": region, "ends": one.fate.ends, "why": one.fate.why}


def _show_forgotten(found: Sequence[Forgotten], regions: Sequence[str]) -> None:
    if not found:
        output.step(f"nothing forgotten in {', '.join(regions)}")
        return
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "FATE", "WHY")]
    for one in found:
        that = one.instance
        fate = "end" if one.fate.ends else "keep"
        rows.append((that.name, that.id, that.state, that.type, that.zone, fate, one.fate.why))
    output.data(output.columns(rows))
    for hint in dict.fromkeys(_hint(one) for one in found if one.fate.hint and not one.fate.ends):
        output.hint(hint)


def _hint(one: Forgotten) -> str:
    """What to type where it is kept; its region need not be that of the settings."""
    region = one.call.aws.region
    elsewhere = f" --region {region}" if region != one.call.settings.region else ""
    return str(one.fate.hint).replace("`ec2tasks down`", f"`ec2tasks down{elsewhere}`")


def _agreed(doomed: Sequence[Forgotten]) -> bool:
    many = f"{len(doomed)} instances" if len(doomed) > 1 else doomed[0].instance.where
    agreed = output.ask(f"terminate {many}, disk and all?")
    if agreed is None:
        output.hint("`ec2tasks reap --yes` ends what is to end")
    return bool(agreed)


def _end(one: Forgotten, *, force: bool) -> bool:
    """End one of them; one that can't be ended is said, and keeps no other from its end."""
    try:
        ended = end_forgotten(one, force=force)
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        output.warning(f"{one.instance.where} could not be ended: {known.what}", hint=known.hint)
        return False
    output.step(f"{one.instance.where}: {'terminated' if ended else 'kept, for it is in use by now'}")
    return True


def _table(found: Sequence[instances.Instance]) -> None:
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "ADDRESS", "SINCE START", "COST")]
    now = datetime.now(timezone.utc)
    for one in found:
        spent = one.cost_until(now)
        age = _since_start(one, now)
        cost = "-" if spent is None else f"${spent:.2f}"
        rows.append((one.name, one.id, one.state, one.type, one.zone, one.address or "-", age, cost))
    output.data(output.columns(rows))


def _since_start(one: instances.Instance, now: datetime) -> str:
    """How long it has run; of one that does not, for how long it has not, where AWS tells."""
    if one.state in instances.UP:
        return duration((now - one.launched).total_seconds())
    return f"stopped for {duration((now - one.stopped).total_seconds())}" if one.stopped else "-"
