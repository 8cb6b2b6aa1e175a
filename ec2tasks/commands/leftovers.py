"""What costs without an instance: said by `ls` and `reap`, and ended by `reap --force`, where it is ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import HALTED, Instance
from ec2tasks.aws.leftovers import Leftover, delete_volume, kept_addresses, left_volumes
from ec2tasks.aws.prices import HOURS_OF_MONTH
from ec2tasks.base import output
from ec2tasks.lifecycle.context import CallContext

AT_ONCE = 8


def find_leftovers(
    context: CallContext, regions: Sequence[str], listed: Iterable[Instance]
) -> list[Leftover]:
    """The disks and addresses in these regions that cost this user with nothing running on them."""
    owner = context.settings.key_name
    stopped = {instance.id for instance in listed if instance.state in HALTED}

    def look(region: str) -> list[Leftover]:
        aws = context.aws.in_region(region)
        return [*left_volumes(aws, owner), *kept_addresses(aws, owner, stopped)]

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return [one for some in pool.map(look, regions) for one in some]


def say_leftovers(leftovers: Sequence[Leftover]) -> None:
    """Say what is left behind, what it costs and what ends it."""
    for one in leftovers:
        output.warning(one.line, hint=one.ends)


class LeftoverAnswer(TypedDict):
    """A disk or an address that is left behind: what it costs in dollars, and what ends it."""

    kind: str
    id: str
    region: str
    what: str
    price_per_hour: float
    price_per_month: float
    hint: str


def leftover_json(leftover: Leftover) -> LeftoverAnswer:
    """What is left behind as JSON can hold it; what it costs in dollars."""
    return {
        "kind": leftover.kind,
        "id": leftover.id,
        "region": leftover.region,
        "what": leftover.what,
        "price_per_hour": round(leftover.monthly / HOURS_OF_MONTH, 6),
        "price_per_month": round(leftover.monthly, 4),
        "hint": leftover.ends,
    }


def end_volumes(context: CallContext, volumes: Sequence[Leftover]) -> bool:
    """Delete these disks; one that can't be deleted is said, and keeps no other. Whether all were."""
    went_well = True
    for volume in volumes:
        try:
            delete_volume(context.aws.in_region(volume.region), volume.id)
        except Exception as error:
            known = explain(error)
            if known is None:
                raise
            went_well = False
            output.warning(
                f"disk {volume.id} could not be deleted: {known.what}", lines=known.lines, hint=known.hint
            )
        else:
            output.step(f"disk {volume.id} in {volume.region}: deleted")
    return went_well
