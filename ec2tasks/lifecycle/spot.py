"""Tells whether AWS has taken a spot instance back, as it may."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome, Results, SpotTakenError
from ec2tasks.remote.notice import EndReason


def was_taken(lease: Lease, instance: Instance) -> bool:
    """Whether AWS itself has ended a spot instance, rather than its owner, its guard or its command."""
    terminated = instance.state in instances.GONE
    announced = lease.notice is not None and lease.notice.reason is EndReason.SPOT
    return terminated and instance.spot and ("Spot" in instance.reason or announced)


def taken_error(lease: Lease) -> SpotTakenError:
    """The failure that says so."""
    error = SpotTakenError(
        f"AWS took spot instance {lease.instance.where} back: what was fetched by then is here",
        hint="the same command again begins with that; resume: true in ec2.yaml does so unasked",
        terminated=True,
    )
    error.cost = lease.cost()
    return error


def check_taken(lease: Lease) -> None:
    """Raise SpotTakenError where what just failed did so because AWS has taken the instance back."""
    if lease.acquired.instance is None or not lease.instance.spot:
        return
    try:
        instance = instances.describe_instance(lease.context.aws, lease.instance.id)
    except Exception as error:
        if explain(error) is None:
            raise
        return
    if instance and was_taken(lease, instance):
        raise taken_error(lease)


def ended_by_notice(lease: Lease, outcome: Outcome) -> Outcome:
    """The outcome of a job that ended, unfinished, once AWS had said that it takes its spot instance back.

    What is fetched whole is ended here and now: whoever goes on elsewhere must not find it again. A job that
    ended with 0 is taken for finished.
    """
    announced = lease.notice is not None and lease.notice.reason is EndReason.SPOT
    if not announced or not outcome.code or outcome.results is not Results.FETCHED:
        return outcome
    try:
        start_and_end.end(lease.context.aws, lease.instance, FinalState.TERMINATE)
    except Exception as error:
        if explain(error) is None:
            raise
    return replace(outcome, end=End.GONE, failure=taken_error(lease))


@contextlib.contextmanager
def named_as_taken(lease: Lease) -> Iterator[None]:
    """Raise SpotTakenError in place of what fails inside, where AWS has taken the spot instance back."""
    try:
        yield
    except Failure:
        check_taken(lease)
        raise
