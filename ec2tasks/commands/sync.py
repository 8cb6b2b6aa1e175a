"""Moves the project's files, or tells what would move, without a command."""

from __future__ import annotations

from ec2tasks.base import output
from ec2tasks.base.project import check_syncable
from ec2tasks.base.project_dir import check_writable
from ec2tasks.base.state import check_state
from ec2tasks.commands.fetch import move_files
from ec2tasks.commands.trust import keep_out_untrusted
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome, Results
from ec2tasks.lifecycle.scope import with_instance
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote.session import SessionMode
from ec2tasks.sync.engine import SyncOptions
from ec2tasks.sync.engine import differences as compare_trees
from ec2tasks.sync.reconcile import Change


def sync(context: CallContext, *, push: bool, pull: bool, verbose: bool) -> None:
    """Push, then pull. An instance that was stopped is stopped again afterwards."""
    _check(context)
    lease, timings = Lease(operation=Operation(context=context)), Timings()

    def work() -> Outcome:
        with timings.time("synced"):
            move_files(lease, SyncOptions(push=push, pull=pull, verbose=verbose))
        # What is sent to where all had been fetched is here, too.
        return Outcome(results=Results.FETCHED if pull or lease.all_fetched else Results.MISSING)

    with_instance(lease, work, timings)
    output.step(timings.line(None))


def differences(context: CallContext) -> list[Change]:
    """What a sync would move, and why; nothing moves. An instance that was stopped is stopped again."""
    _check(context)
    lease = Lease(operation=Operation(context=context, mode=SessionMode.LOOK))
    changes: list[Change] = []

    def work() -> Outcome:
        keep_out_untrusted(context, says=True)
        append = context.settings.append
        changes.extend(compare_trees(context.project.root, lease.folder(), context.tools, append=append))
        return Outcome()

    with_instance(lease, work, Timings())
    return changes


def _check(context: CallContext) -> None:
    check_local_tools(context)
    check_state(context.state)
    check_syncable(context.project, context.home)
    check_writable(context.project.root)
