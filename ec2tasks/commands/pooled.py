"""Runs a command on a free machine of a pool, and waits for another where AWS has no new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.base import output
from ec2tasks.commands.run import RunRequest, run
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.pool import Pool


def run_on_pool(
    context: CallContext, request: RunRequest, size: int, *, environ: Mapping[str, str] = os.environ
) -> int:
    """Run on the next free one of `size` machines; as `run`.

    Raises NoCapacityError where AWS refuses a new one, and none is there to wait for.
    """
    pool, refused = Pool(context=context, size=size), None
    while True:
        with pool.taken(refused) as machine:
            try:
                return run(machine, replace(request, pooled=True), environ=environ)
            except NoCapacityError as full:
                refused = full
                pool.close(machine)
                output.step(f"{machine.settings.name} is not granted: waiting for another machine")
