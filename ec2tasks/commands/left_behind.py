"""Tells of commands that were left on the instance and still run: they cost, and slow what begins."""

from __future__ import annotations

from collections.abc import Sequence

from ec2tasks.base import output
from ec2tasks.remote.job_name import short_forms, words
from ec2tasks.remote.session import RunningJob

NAMED = 3  # jobs


def tell_left_behind(running: Sequence[RunningJob]) -> None:
    """Say which of these commands nobody sees, and what to type; what another client is with is its own."""
    left = [job.name for job in running if not job.seen]
    if not left:
        return
    forms = short_forms([job.name for job in running])
    for job in left[:NAMED]:
        output.step(f"{words(job)} still runs on the instance, left by its client")
    if len(left) > NAMED:
        output.step(f"and {len(left) - NAMED} more: `ec2tasks jobs` lists them")
    first = forms[left[0].job_id]
    output.hint(f"`ec2tasks cancel {first}` ends it, `ec2tasks attach {first}` comes back to it")
