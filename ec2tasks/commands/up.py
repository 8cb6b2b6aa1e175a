"""Brings the instance up and leaves it running."""

from __future__ import annotations

from ec2tasks.aws.instances import Instance
from ec2tasks.base.state import check_state
from ec2tasks.config.schema import GUARD_SETTINGS
from ec2tasks.lifecycle.acquire import acquire_without_session, check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.first_boot import has_first_boot, wait_for_user_data
from ec2tasks.lifecycle.host_key_check import judged
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.outcome import Outcome, attempt
from ec2tasks.lifecycle.release import release_after_failure
from ec2tasks.lifecycle.scope import interruptible
from ec2tasks.remote.session import SessionMode


def up(context: CallContext) -> Instance:
    """Find, launch or start the instance and get it ready; it is left running."""
    check_local_tools(context)
    check_state(context.state)
    lease = Lease(operation=Operation(context=context, mode=SessionMode.LOOK))

    def work() -> Outcome:
        host = acquire_without_session(context, lease.acquired, may_launch=True)
        if any(context.settings.given(name) for name in GUARD_SETTINGS):
            # It takes a session to hand the guard its new limits.
            with lease.held():
                lease.join(host, {})
        if has_first_boot(lease):
            wait_for_user_data(lease)
        return Outcome()

    with interruptible():
        outcome = judged(lease.acquired.key_check, attempt(work))
    if outcome.failure:
        release_after_failure(lease, outcome)
        raise outcome.failure
    return lease.instance
