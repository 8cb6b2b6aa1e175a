"""The tasks that look after instances without being on one: `status`, `ls`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from invoke.context import Context

from ec2tasks import instance as instances
from ec2tasks import outlook, report
from ec2tasks.arrival import Call, find, host_of
from ec2tasks.aws import Aws
from ec2tasks.edge import ec2_task, make_call
from ec2tasks.options import JSON_OPTION, PLACE_OPTIONS, Option
from ec2tasks.stay import duration


@ec2_task(JSON_OPTION, *PLACE_OPTIONS)
def status(c: Context, given: Mapping[str, Any]) -> None:
    """Show this project's instance: state, type, place, age, cost; who is on it, when and why it will end."""
    call = make_call(c, given)
    found = find(call)
    if found is None:
        if given["json"]:
            report.data("null")
        else:
            report.step(f"no instance `{call.settings.name}` in {call.aws.region}")
            report.hint("`ec2tasks up` launches it, `ec2tasks ls` lists yours")
        return
    foreseen, lines = _foreseen(call, found)
    if given["json"]:
        whole = {**instances.described(found), **outlook.described(foreseen, lines)}
        report.data(json.dumps(whole, indent=2))
    else:
        _table([found])
        for line in lines:
            report.data(line)


def _foreseen(call: Call, found: instances.Instance) -> tuple[outlook.Outlook | None, list[str]]:
    """What the instance's guard says, asked where it runs; nothing is started for it."""
    foreseen, said = None, None
    if found.state == "running" and found.address and (call.settings.user or found.user):
        foreseen = outlook.ask(host_of(call, found), call.tools)
    elif found.state in ("stopping", "stopped"):
        said = outlook.last_words(call.aws, found)
    return foreseen, outlook.words(found, foreseen, said)


@ec2_task(
    JSON_OPTION,
    Option(names=("all_regions",), kind=bool, help="in every region of the account"),
    *PLACE_OPTIONS,
)
def ls(c: Context, given: Mapping[str, Any]) -> None:
    """List all your instances that ec2tasks launched in the region, or in all of them."""
    call = make_call(c, given)
    regions = _all_regions(call.aws) if given["all_regions"] else [call.aws.region]

    def ask(region: str) -> list[instances.Instance]:
        return instances.list_instances(replace_region(call.aws, region), owner=call.settings.key_name)

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = [one for many in pool.map(ask, regions) for one in many]
    if given["json"]:
        report.data(json.dumps([instances.described(one) for one in found], indent=2))
    elif found:
        _table(found)
    else:
        report.step(f"no instance of `{call.settings.key_name}` in {', '.join(regions)}")


def _all_regions(aws: Aws) -> list[str]:
    return sorted(one["RegionName"] for one in aws.ec2.describe_regions()["Regions"])


def replace_region(aws: Aws, region: str) -> Aws:
    """The same AWS in another region."""
    return aws if region == aws.region else Aws(endpoint=aws.endpoint, region=region)


def _table(found: Sequence[instances.Instance]) -> None:
    rows = [("NAME", "ID", "STATE", "TYPE", "ZONE", "ADDRESS", "AGE", "COST")]
    now = datetime.now(timezone.utc)
    for one in found:
        spent = one.cost_until(now)
        age = duration((now - one.launched).total_seconds())
        cost = "-" if spent is None else f"${spent:.2f}"
        rows.append((one.name, one.id, one.state, one.type, one.zone, one.address or "-", age, cost))
    report.data(report.columns(rows))
