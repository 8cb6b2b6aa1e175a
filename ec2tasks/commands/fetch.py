"""Moves the project's files during an operation: pushed before the job, fetched after it and meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import start_thread
from ec2tasks.commands.trust import check_unchanged, keep_out_untrusted
from ec2tasks.lifecycle.host_key_check import WrongHostKeyError
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import End, Outcome, Results
from ec2tasks.remote.folder import BrokenConnectionError
from ec2tasks.remote.notice import EndReason
from ec2tasks.sync.engine import SyncOptions, sync_files
from ec2tasks.sync.pull import LivePull

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before files are moved over another connection
LAST_PAUSE = 5.0  # seconds between fetches once the instance has said that it is about to end
TICK = 0.5  # seconds between looks at whether it has
ANNOUNCED = {
    EndReason.SPOT: "AWS takes this spot instance back",
    EndReason.MAX_HOURS: "max_hours ends the instance",
    EndReason.MAX_COST: "max_cost ends the instance",
    EndReason.STALLED_STOP: "stalled_stop ends the instance, whose commands do nothing,",
}


def move_files(lease: Lease, options: SyncOptions) -> None:
    """Move the project's files, over another connection where one breaks for as long as the instance runs.

    Raises Failure where not everything arrived, WrongHostKeyError where it would go to somebody else.
    """
    pauses = iter(() if options.live else PAUSES)  # beside a job, the next fetch is another try
    context, operation = lease.context, lease.operation
    options = replace(options, append=context.settings.append, sweep=operation.sweep)
    while True:
        lease.hold_host_key()
        if (options.pull or lease.all_fetched) and not options.live and lease.session:
            lease.session.fetching()
        if options.live and lease.session:
            lease.session.pulling(done=False)
        trusted = keep_out_untrusted(context, says=not options.live)
        try:
            sync_files(context.project.root, lease.take_folder(), operation.job_id, context.tools, options)
            if options.live and lease.session:
                lease.session.pulling(done=True)
            return check_unchanged(context, trusted if options.push else ())
        except BrokenConnectionError:
            pause = next(pauses, None)
            if pause is None or not lease.is_up():
                raise
            output.step(f"connection lost, trying the {options.direction.value} again")
            time.sleep(pause)
            lease.reconnect()


def fetch(lease: Lease, outcome: Outcome, *, verbose: bool) -> Outcome:
    """Fetch everything; the outcome so far, with where the results are.

    Why they could not be fetched whole is said and no error, for the release is still to come.
    """
    try:
        move_files(lease, SyncOptions(pull=True, verbose=verbose))
    except WrongHostKeyError:
        return replace(outcome, results=Results.MISSING)  # said at the end, above all else
    except Failure as error:
        output.warn_of(error)
        return replace(outcome, results=Results.MISSING)
    except KeyboardInterrupt:
        output.warning("interrupted while fetching the results")
        return replace(outcome, results=Results.MISSING, end=End.INTERRUPTED)
    return replace(outcome, results=Results.FETCHED)


def while_fetching(
    lease: Lease, work: Callable[[], Outcome], *, beside: Callable[[], object] = lambda: None
) -> Outcome:
    """Do the work, and fetch results every `pull_every` meanwhile: a lost instance costs no more than that.

    Once the instance says that it is about to end, by its guard or because AWS takes it back, at once and
    again every few seconds until then, and what is `beside` the results with them.
    """
    every = lease.context.settings.pull_every
    over, left_running = threading.Event(), False
    puller = start_thread(_keep_fetching, lease, every, over, beside)
    try:
        outcome = work()
        left_running = outcome.left_running
        return outcome
    finally:
        over.set()
        if not left_running:
            puller.join()


def _keep_fetching(lease: Lease, every: int, over: threading.Event, beside: Callable[[], object]) -> None:
    last, live = time.monotonic(), LivePull()
    while not over.wait(min(every or TICK, TICK)):
        notice = lease.notice
        if notice and not live.last:
            last = 0.0
            output.warning(f"{ANNOUNCED[notice.reason]} at {notice.at}: fetching what is there")
        live.last = notice is not None
        pause = LAST_PAUSE if live.last else every
        if pause and time.monotonic() - last >= pause:
            # What does not come now comes the next time, or is said at the end.
            try:
                move_files(lease, SyncOptions(pull=True, live=live))
                if live.last:
                    beside()
            except Failure:
                pass
            except Exception as error:  # noqa: BLE001  # it must not keep the last fetch from being tried
                output.warning(f"what the command makes could not be fetched meanwhile: {error!r}")
            last = time.monotonic()
