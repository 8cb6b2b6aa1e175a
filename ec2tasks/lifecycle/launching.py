"""Launches an instance, written down before AWS is asked; asks again for as long as there is no capacity."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ec2tasks.aws import instances
from ec2tasks.aws.capacity import NoCapacityError, QuotaError, Refusal
from ec2tasks.aws.errors import error_code, is_transient
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.launch import launch
from ec2tasks.aws.launch_request import LaunchPlan
from ec2tasks.base import output
from ec2tasks.base.retry import ticks
from ec2tasks.base.state import write_atomically
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.context import CallContext

UNANSWERED = "AWS gave no answer to the launch: there may be an instance all the same"
CAPACITY_PAUSE = 60.0  # seconds between rounds of asking where there is no capacity
# Why AWS ends an instance that it has accepted and then has no room for; another zone or type may have it.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
TAKEN_BACK = ("Server.InsufficientInstanceCapacity", "Server.InternalError")


def launch_patiently(
    context: CallContext,
    plan: LaunchPlan,
    *,
    lost: Sequence[Refusal] = (),
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = datetime.now,
) -> Instance:
    """Launch an instance; where there is no capacity, ask again for as long as `wait_capacity` says.

    `lost` are candidates that AWS has granted and taken back: they are not asked for in the first round.
    Raises Failure with every reason where none is granted, and with how often it was asked for.
    """
    limit, began, start = float(context.settings.wait_capacity), now(), clock()
    pause, asked, refused = min(CAPACITY_PAUSE, limit), 0, None
    for _ in ticks(every=pause, limit=limit, sleep=sleep, clock=clock):
        asked += 1  # what counts is how often, also after the loop
        try:
            return _launch(context, plan, lost if asked == 1 else (), sleep, loud=asked == 1)
        except NoCapacityError as full:
            refused = full
        if isinstance(refused, QuotaError) or not limit or clock() - start + pause > limit:
            break
        times = "once" if asked == 1 else f"{asked} times"
        until = began + timedelta(seconds=limit)
        output.step(
            f"{now():%H:%M}: no capacity in any of {len(plan.candidates)} places, asked {times} since"
            f" {began:%H:%M}: asking again in {pause:.0f} s, until {until:%H:%M}"
        )
    assert refused is not None
    raise _asked_in_vain(refused, asked, began)


def _asked_in_vain(full: NoCapacityError, asked: int, began: datetime) -> NoCapacityError:
    if asked == 1:
        return full
    what = f"{full.what}; asked {asked} times since {began:%H:%M}"
    return type(full)(what, lines=full.lines, hint=full.hint)


def taken_back(instance: Instance) -> Refusal | None:
    """The refusal that it comes to where AWS had no room for an instance after all; else None."""
    if instance.state not in instances.GONE or instance.reason_code not in TAKEN_BACK:
        return None
    return Refusal(
        instance_type=instance.type,
        zone=instance.zone,
        spot=instance.spot,
        code=instance.reason_code.partition(".")[2],
        text=instance.reason,
    )


def _launch(
    context: CallContext,
    plan: LaunchPlan,
    lost: Sequence[Refusal],
    sleep: Callable[[float], None],
    *,
    loud: bool,
) -> Instance:
    """Launch one, written down before AWS is asked, and asked with what stands there from a lost request."""
    if plan.public_key:
        write_atomically(context.public_key, f"{plan.public_key}\n")
    for anew in (False, True):
        entry = launch_journal.begin(context.state, context.place, prices=plan.prices, anew=anew)
        begun = replace(plan, prices=entry.prices)
        try:
            launched = launch(context.aws, begun, entry.token, lost=lost, sleep=sleep, loud=loud)
            return instances.from_description(launched)
        except Exception as error:
            if error_code(error) == "IdempotentInstanceTerminated" and not anew:
                continue  # what was launched then has ended since
            if is_transient(error):
                output.warning(UNANSWERED, hint="the next run finds it; `ec2tasks ls` shows it")
            else:
                launch_journal.finish(context.state, context.key)
            raise
    raise AssertionError("unreachable")
