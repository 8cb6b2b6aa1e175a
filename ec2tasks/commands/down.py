"""Ends the instance, once what is on it is here."""

from __future__ import annotations

from ec2tasks.aws.instances import HALTED
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.project import check_syncable
from ec2tasks.commands.fetch import fetch
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.acquire import Acquired, check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome, Results
from ec2tasks.lifecycle.release import apply
from ec2tasks.lifecycle.release_decision import Decision
from ec2tasks.lifecycle.scope import with_instance
from ec2tasks.lifecycle.timing import Timings


def down(context: CallContext, final_state: FinalState, *, fetches: bool, verbose: bool) -> int:
    """Pull, then terminate or stop; 125 where the results could not be fetched, and the instance is kept."""
    check_local_tools(context, moves=fetches)
    instance = find_instance(context)
    if instance is None:
        _say_nothing_to_end(context)
        return 0
    if final_state is FinalState.STOP and instance.state in HALTED:
        output.step(f"{instance.where}: stopped already")
        return 0
    fetches = fetches and not (instance.state == "stopped" and instance.fetched)
    operation = Operation(context=context, final_state=final_state, explicit=True, fetches=fetches)
    lease, timings = Lease(operation=operation, acquired=Acquired(instance=instance)), Timings()
    if not fetches:
        apply(lease, Decision(final_state=final_state))
        return 0
    check_syncable(context.project, context.home)

    def work() -> Outcome:
        with timings.time("fetched"):
            return fetch(lease, Outcome(), verbose=verbose)

    outcome = with_instance(lease, work, timings)
    output.step(timings.line(lease.cost()))
    done = outcome.results is not Results.MISSING and outcome.released is final_state
    return 0 if done else FAILURE_CODE


def _say_nothing_to_end(context: CallContext) -> None:
    output.step(f"no instance `{context.settings.name}` in {context.aws.region}: nothing to end")
    entry = launch_journal.read(context.state, context.key)
    if entry and not entry.is_old():
        output.warning("a launch of it was begun here and not ended", hint="`ec2tasks down` in a minute")
