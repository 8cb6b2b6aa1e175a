"""Work on the instance between its acquiring and its release, whatever happens in between."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace

from ec2tasks.base.errors import Failure
from ec2tasks.base.signals import handled
from ec2tasks.base.state import lock
from ec2tasks.base.waiting import waiting
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.acquire import acquire
from ec2tasks.lifecycle.first_boot import has_first_boot, wait_for_user_data
from ec2tasks.lifecycle.host_key_check import judged
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import Outcome, attempt
from ec2tasks.lifecycle.release import release, release_after_failure
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.remote.session import Session
from ec2tasks.ssh.connect import close_master

JOIN_ATTEMPTS = 3


def interruptible() -> contextlib.AbstractContextManager[None]:
    """Treat a closed terminal and a polite kill like Ctrl-C: results come back, the instance is released."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    return handled((signal.SIGTERM, signal.SIGHUP), interrupt)


def with_instance(
    lease: Lease,
    work: Callable[[], Outcome],
    timings: Timings,
    *,
    files: Callable[[], Mapping[str, str]] = dict,
    may_launch: bool = False,
) -> Outcome:
    """Acquire the instance, join it, do the work, release it: the work's outcome, with what became of it.

    `files` are handed to the instance for the job, by name, and asked for once it is acquired. Whatever fails
    on the way, the release follows; then the first error is raised, and one more on the way out is only said.
    """

    def acquired_work() -> Outcome:
        with timings.time("found"):
            _acquire_and_join(lease, files, may_launch=may_launch)
        if may_launch and has_first_boot(lease):
            with timings.time("user_data"):
                wait_for_user_data(lease)
        return work()

    with interruptible(), lease.held():
        outcome = attempt(acquired_work, results=lease.operation.results_at_first)
        outcome = judged(lease.acquired.key_check, outcome)
        if outcome.failure:
            release_after_failure(lease, outcome)
            raise outcome.failure
        return replace(outcome, released=release(lease, outcome))


def _acquire_and_join(lease: Lease, files: Callable[[], Mapping[str, str]], *, may_launch: bool) -> None:
    """Acquire and join. An instance that another client ends in this very moment is left for the next."""
    context = lease.context
    may_start = lease.operation.may_start
    for attempts_left in range(JOIN_ATTEMPTS - 1, -1, -1):
        # Whoever leaves from this machine meanwhile waits for us, rather than end what we are about to use.
        with lock(context.state, f"arriving-{context.key}", shared=True):
            host = acquire(context, lease.acquired, may_launch=may_launch, may_start=may_start)
            try:
                usual = context.usual("guard", lease.instance.type)
                with waiting("the instance to let this client in, once its guard is armed", usual=usual):
                    session = lease.join(host, files())
            except Failure:
                if attempts_left == 0:
                    raise
                # A kept connection that a change of network killed still looks alive: a new one tells.
                close_master(host, context.tools)
            else:
                _settle_in(lease, session)
                return


def _settle_in(lease: Lease, session: Session) -> None:
    """Take down what the session told, and that this machine has got on its instance."""
    context = lease.context
    lease.nothing_there = session.empty
    lease.all_fetched = session.clean or session.empty or lease.acquired.launched
    launch_journal.finish(context.state, context.key)
    lease.sessions.enter_context(lock(context.state, f"present-{context.key}", shared=True))
