"""Finds instances that were forgotten, tells whether anything on them would be lost, and ends them.

Two kinds are: one that has been stopped for longer than `reap_after`, and one whose launch was cut short
before anybody got on it. Nothing that may hold results is ended unless that is forced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import HALTED, UP, Instance
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import lock, read_cached, write_cached
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import forget_entry, host_of
from ec2tasks.lifecycle.launch_journal import Entry
from ec2tasks.remote.usage_mark import was_used

AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class ReapFacts:
    """What is known of an instance that may be forgotten.

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
class ReapDecision:
    """Whether `reap` ends an instance, and why; `hint` is what to type where it is kept."""

    ends: bool
    why: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A forgotten instance, the context of its region, and what `reap` decides on it."""

    context: CallContext
    instance: Instance
    decision: ReapDecision


def judge(facts: ReapFacts, *, now: datetime, reap_after: float, force: bool) -> ReapDecision | None:
    """Whether to end an instance, None for one not forgotten; `reap_after` in seconds, 0 for never."""
    state, name = facts.instance.state, facts.instance.name
    if facts.arriving:
        return None
    cut_short = facts.cut_short and not facts.instance.fetched
    if cut_short and state in UP:
        return _never_got_on(facts, force)
    long_stopped = bool(reap_after and facts.since and now - facts.since > timedelta(seconds=reap_after))
    if state not in HALTED or not (long_stopped or cut_short):
        return None
    why = "its launch was cut short, and it has stopped since"
    if long_stopped and facts.since:
        why = f"stopped for {_long(now - facts.since)}"
    if facts.instance.fetched:
        return ReapDecision(ends=True, why=f"{why}; its results were fetched")
    hint = f"`ec2tasks down` in the project's folder of {name} fetches and ends it; --force ends it unseen"
    return ReapDecision(ends=force, why=f"{why}; it may hold results that were not fetched", hint=hint)


def _long(time: timedelta) -> str:
    return f"{time.days} days" if time.days > 1 else duration(time.total_seconds())


def _never_got_on(facts: ReapFacts, force: bool) -> ReapDecision | None:
    why = "its launch was cut short"
    if facts.used:
        return None  # in use, from another machine
    if facts.used is False:
        return ReapDecision(ends=True, why=f"{why}, and nobody was ever on it")
    hint = "try again once SSH answers; --force ends it unseen"
    return ReapDecision(ends=force, why=f"{why}, and it can't be asked whether anybody was on it", hint=hint)


def all_regions(aws: Aws) -> list[str]:
    """The regions that are switched on for the account."""
    return sorted(region["RegionName"] for region in aws.ec2.describe_regions()["Regions"])


def regions_to_look_in(context: CallContext, everywhere: Sequence[str]) -> list[str]:
    """These regions, else the one of the settings and those of launches that were cut short."""
    regions = everywhere or [context.aws.region]
    return list(dict.fromkeys([*regions, *(entry.place.region for entry in begun(context))]))


def begun(context: CallContext) -> list[Entry]:
    """The launches begun here that are this user's, in this account."""
    own = (context.place.account, context.place.owner)
    entries = launch_journal.entries(context.state)
    return [entry for entry in entries if (entry.place.account, entry.place.owner) == own]


def find_forgotten(context: CallContext, regions: Sequence[str], *, force: bool) -> list[Forgotten]:
    """The forgotten instances of this user in these regions; asks those on which nobody here has got."""

    def look(region: str) -> list[Forgotten]:
        regional = replace(context, aws=context.aws.in_region(region))
        listed = instances.list_instances(regional.aws, owner=context.settings.key_name)
        judged = ((instance, _judge(regional, instance, force=force)) for instance in listed)
        return [
            Forgotten(context=regional, instance=instance, decision=decision)
            for instance, decision in judged
            if decision
        ]

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return [forgotten for some in pool.map(look, regions) for forgotten in some]


def _judge(context: CallContext, instance: Instance, *, force: bool) -> ReapDecision | None:
    """Decide on an instance while no client of this machine is getting on it."""
    now = datetime.now(timezone.utc)
    with _nobody_arriving(context, instance) as alone:
        facts = _look_at(context, instance, alone=alone, now=now)
        return judge(facts, now=now, reap_after=context.settings.reap_after, force=force)


@contextmanager
def _nobody_arriving(context: CallContext, instance: Instance) -> Iterator[bool]:
    key = context.key_of(context.aws.region, instance.name)
    with (
        lock(context.state, f"arriving-{key}", patience=0) as first,
        lock(context.state, f"launch-{key}", patience=0) as second,
    ):
        yield first and second


def _look_at(context: CallContext, instance: Instance, *, alone: bool, now: datetime) -> ReapFacts:
    cut_short = any(entry.asked_for(instance.token) for entry in begun(context))
    reachable = alone and cut_short and instance.state == "running"
    return ReapFacts(
        instance=instance,
        since=stopped_since(context, instance, now) if instance.state in HALTED else None,
        cut_short=cut_short,
        arriving=not alone,
        used=_was_used(context, instance) if reachable else None,
    )


def stopped_since(context: CallContext, instance: Instance, now: datetime) -> datetime:
    """When an instance stopped, or was first seen so from here: AWS does not tell it of one's own stop."""
    if instance.stopped:
        return instance.stopped
    key = f"stopped-{instance.id}"
    known = read_cached(context.state, key) or {}
    if known.get("launched") == instance.launched.isoformat():
        return datetime.fromisoformat(str(known["seen"]))
    write_cached(context.state, key, {"launched": instance.launched.isoformat(), "seen": now.isoformat()})
    return now


def _was_used(context: CallContext, instance: Instance) -> bool | None:
    """Whether anybody has ever been on it; None where it gives no answer."""
    try:
        host = host_of(context, instance)
    except Failure:
        return None
    return was_used(host, context.aws, context.tools)


def end_forgotten(forgotten: Forgotten, *, force: bool) -> bool:
    """End a forgotten instance, unless it is in use by now. Whether it was ended."""
    context = forgotten.context
    with _nobody_arriving(context, forgotten.instance) as alone:
        instance = instances.describe_instance(context.aws, forgotten.instance.id)
        if instance is None or instance.state not in instances.ALIVE:
            return True
        moment = datetime.now(timezone.utc)
        facts = _look_at(context, instance, alone=alone, now=moment)
        decision = judge(facts, now=moment, reap_after=context.settings.reap_after, force=force)
        if decision is None or not decision.ends:
            return False
        start_and_end.end(context.aws, instance, FinalState.TERMINATE)
        forget_entry(context, instance.name, instance_id=instance.id)
        for entry in begun(context):
            if entry.asked_for(instance.token):
                launch_journal.finish(context.state, entry.place.key)
    return True


def tidy(context: CallContext, regions: Sequence[str]) -> None:
    """Strike off launches in these regions that are too old to be asked for again and left no instance."""
    launch_journal.sweep(context.state)
    for entry in begun(context):
        if entry.is_old() and entry.place.region in regions:
            aws = context.aws.in_region(entry.place.region)
            launched = instances.list_instances(aws, owner=entry.place.owner, name=entry.place.name)
            if not any(entry.asked_for(instance.token) for instance in launched):
                launch_journal.finish(context.state, entry.place.key)
