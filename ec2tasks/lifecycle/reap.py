"""Instances that were forgotten: which they are, whether anything on them would be lost, and their end.

Two kinds are: one that has been stopped for longer than `reap_after`, and one whose launch was cut short
before anybody got on it. Nothing that may hold results is ended unless that is forced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import HALTED, UP, Instance
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import lock, recall, remember
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import host_of
from ec2tasks.lifecycle.launch_journal import Entry
from ec2tasks.remote.usage_mark import was_used

AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is known of an instance when its fate is decided.

    `since`: when it stopped, or was first seen so from here. `cut_short`: this machine began its launch, and
    nobody here has got on it; `arriving`: somebody here may be about to. `used`: whether anybody has ever
    been on it, None where it could not be asked.
    """

    instance: Instance
    since: datetime | None = None
    cut_short: bool = False
    arriving: bool = False
    used: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a forgotten instance, and why; `hint` is what to type where it is kept."""

    ends: bool
    why: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A forgotten instance, where it is, and its fate."""

    context: CallContext
    instance: Instance
    fate: Fate


def judge(sight: Sight, *, now: datetime, reap_after: float, force: bool) -> Fate | None:
    """The fate of an instance, None for one that is not forgotten; `reap_after` in seconds, 0 for never."""
    state, name = sight.instance.state, sight.instance.name
    if sight.arriving:
        return None
    cut_short = sight.cut_short and not sight.instance.fetched
    if cut_short and state in UP:
        return _never_got_on(sight, force)
    long_stopped = bool(reap_after and sight.since and now - sight.since > timedelta(seconds=reap_after))
    if state not in HALTED or not (long_stopped or cut_short):
        return None
    why = "its launch was cut short, and it has stopped since"
    if long_stopped and sight.since:
        why = f"stopped for {_long(now - sight.since)}"
    if sight.instance.fetched:
        return Fate(ends=True, why=f"{why}; its results were fetched")
    hint = f"`ec2tasks down` in the project's folder of {name} fetches and ends it; --force ends it unseen"
    return Fate(ends=force, why=f"{why}; it may hold results that were not fetched", hint=hint)


def _long(time: timedelta) -> str:
    return f"{time.days} days" if time.days > 1 else duration(time.total_seconds())


def _never_got_on(sight: Sight, force: bool) -> Fate | None:
    why = "its launch was cut short"
    if sight.used:
        return None  # in use, from another machine
    if sight.used is False:
        return Fate(ends=True, why=f"{why}, and nobody was ever on it")
    hint = "try again once SSH answers; --force ends it unseen"
    return Fate(ends=force, why=f"{why}, and it can't be asked whether anybody was on it", hint=hint)


def all_regions(aws: Aws) -> list[str]:
    """The regions that are switched on for the account."""
    return sorted(one["RegionName"] for one in aws.ec2.describe_regions()["Regions"])


def regions_to_look_in(context: CallContext, everywhere: Sequence[str]) -> list[str]:
    """These regions, else the one of the settings and those of launches that were cut short."""
    asked = everywhere or [context.aws.region]
    return list(dict.fromkeys([*asked, *(entry.place.region for entry in begun(context))]))


def begun(context: CallContext) -> list[Entry]:
    """The launches begun here that are this user's, in this account."""
    mine = (context.place.account, context.place.owner)
    return [one for one in journal.standing(context.state) if (one.place.account, one.place.owner) == mine]


def find_forgotten(context: CallContext, regions: Sequence[str], *, force: bool) -> list[Forgotten]:
    """The forgotten instances of this user in these regions; asks those on which nobody here has got."""

    def look(region: str) -> list[Forgotten]:
        there = replace(context, aws=context.aws.in_region(region))
        found = instances.list_instances(there.aws, owner=context.settings.key_name)
        judged = ((one, _judged(there, one, force=force)) for one in found)
        return [Forgotten(context=there, instance=one, fate=fate) for one, fate in judged if fate]

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return [one for many in pool.map(look, regions) for one in many]


def _judged(context: CallContext, found: Instance, *, force: bool) -> Fate | None:
    """The fate of an instance while no client of this machine is getting on it."""
    now = datetime.now(timezone.utc)
    with _nobody_arriving(context, found) as alone:
        sight = _look_at(context, found, alone=alone, now=now)
        return judge(sight, now=now, reap_after=context.settings.reap_after, force=force)


@contextmanager
def _nobody_arriving(context: CallContext, found: Instance) -> Iterator[bool]:
    key = context.key_of(context.aws.region, found.name)
    with (
        lock(context.state, f"arriving-{key}", patience=0) as first,
        lock(context.state, f"launch-{key}", patience=0) as second,
    ):
        yield first and second


def _look_at(context: CallContext, found: Instance, *, alone: bool, now: datetime) -> Sight:
    cut_short = any(entry.asked_for(found.token) for entry in begun(context))
    asked = alone and cut_short and found.state == "running"
    return Sight(
        instance=found,
        since=stopped_since(context, found, now) if found.state in HALTED else None,
        cut_short=cut_short,
        arriving=not alone,
        used=_was_used(context, found) if asked else None,
    )


def stopped_since(context: CallContext, found: Instance, now: datetime) -> datetime:
    """When an instance stopped, or was first seen so from here: AWS does not tell it of one's own stop."""
    if found.stopped:
        return found.stopped
    key = f"stopped-{found.id}"
    known = recall(context.state, key) or {}
    if known.get("launched") == found.launched.isoformat():
        return datetime.fromisoformat(str(known["seen"]))
    remember(context.state, key, {"launched": found.launched.isoformat(), "seen": now.isoformat()})
    return now


def _was_used(context: CallContext, found: Instance) -> bool | None:
    """Whether anybody has ever been on it; None where it gives no answer."""
    try:
        host = host_of(context, found)
    except Failure:
        return None
    return was_used(host, context.aws, context.tools)


def end_forgotten(found: Forgotten, *, force: bool) -> bool:
    """End a forgotten instance, unless it is in use by now. Whether it was ended."""
    context = found.context
    with _nobody_arriving(context, found.instance) as alone:
        now = instances.describe_instance(context.aws, found.instance.id)
        if now is None or now.state not in instances.ALIVE:
            return True
        moment = datetime.now(timezone.utc)
        sight = _look_at(context, now, alone=alone, now=moment)
        fate = judge(sight, now=moment, reap_after=context.settings.reap_after, force=force)
        if fate is None or not fate.ends:
            return False
        start_and_end.end(context.aws, now, FinalState.TERMINATE)
        for entry in begun(context):
            if entry.asked_for(now.token):
                journal.finish(context.state, entry.place.key)
    return True


def tidy(context: CallContext, regions: Sequence[str]) -> None:
    """Strike off launches in these regions that are too old to be asked for again and left no instance."""
    journal.sweep(context.state)
    for entry in begun(context):
        if entry.is_old() and entry.place.region in regions:
            there = context.aws.in_region(entry.place.region)
            found = instances.list_instances(there, owner=entry.place.owner, name=entry.place.name)
            if not any(entry.asked_for(one.token) for one in found):
                journal.finish(context.state, entry.place.key)
