"""Finds the machines of a sweep of which no run has told: who was killed, or can't write, leaves no word."""

from __future__ import annotations

from collections.abc import Collection

from ec2tasks.aws.errors import explain
from ec2tasks.aws.instances import UP, Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance
from ec2tasks.lifecycle.pool import Pool


def untold_machines(context: CallContext, size: int, told: Collection[str]) -> list[Instance]:
    """Those of `size` machines that cost, that no run here is on, and whose name is none of those told.

    AWS is asked for each. Where it does not answer, that is said.
    """
    pool, found = Pool(context=context, size=size), list[Instance]()
    try:
        for machine in pool.free():
            instance = None if machine.settings.name in told else find_instance(machine)
            if instance and instance.state in UP:
                found.append(instance)
    except Exception as error:
        known = error if isinstance(error, Failure) else explain(error)
        if known is None:
            raise
        output.warning(
            f"whether a machine was left running can't be told: {known.what}",
            lines=known.lines,
            hint="`ec2tasks ls` lists those that are there",
        )
    return found
