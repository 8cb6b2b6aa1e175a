"""What `reap` does: find the forgotten, show them with their fate, ask, end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from ec2tasks.aws.errors import explain
from ec2tasks.aws.leftovers import Leftover
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.cli.context import is_dry, make_context
from ec2tasks.commands.leftovers import end_volumes, find_leftovers, leftover_json, say_leftovers
from ec2tasks.commands.status import instance_json
from ec2tasks.commands.trust import Acts
from ec2tasks.lifecycle.reap import (
    Forgotten,
    all_regions,
    end_forgotten,
    find_forgotten,
    regions_to_look_in,
    tidy,
)

if TYPE_CHECKING:
    from ec2tasks.base.answers import ForgottenAnswer


def reap_forgotten(c: Context, given: Mapping[str, Any]) -> int:
    """End the forgotten instances and disks after showing them; 0 where each that was to end has."""
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
