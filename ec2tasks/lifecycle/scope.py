"""A call's way onto the instance and off again: arrival, session, and the end of life after it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping

from ec2tasks.base.errors import Failure
from ec2tasks.base.signals import handled
from ec2tasks.base.state import lock
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.acquire import arrive
from ec2tasks.lifecycle.operation import Stay, joined
from ec2tasks.lifecycle.release import end, end_beside_failure
from ec2tasks.lifecycle.timing import Phases
from ec2tasks.ssh.connect import close_master
from ec2tasks.ssh.host import Host


def interruptible() -> contextlib.AbstractContextManager[None]:
    """Treat a closed terminal and a polite kill like Ctrl-C: results come back, the instance ends."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    return handled((signal.SIGTERM, signal.SIGHUP), interrupt)


@contextlib.contextmanager
def on_board(
    stay: Stay, phases: Phases, *, files: Mapping[str, str] | None = None, may_launch: bool = False
) -> Iterator[Host]:
    """Arrive and hold a session; whatever happens inside or on the way, the end of life follows.

    `files` are what the run needs there, by name.
    """
    with contextlib.ExitStack() as stay.boarded:
        try:
            with phases.time("found"):
                host = _get_on(stay, files or {}, stay.boarded, may_launch=may_launch)
            yield host
        except BaseException as error:
            stay.interrupted |= isinstance(error, KeyboardInterrupt)
            # The first failure is the one to tell; one more on the way out is said beside it.
            end_beside_failure(stay)
            raise
        end(stay)


def _get_on(stay: Stay, files: Mapping[str, str], boarded: contextlib.ExitStack, *, may_launch: bool) -> Host:
    """Arrive and join. An instance that another client ends in this very moment is left for the next."""
    call = stay.call
    for attempts_left in (2, 1, 0):
        # Whoever leaves from this machine meanwhile waits for us, rather than end what we are about to use.
        with lock(call.state, f"arriving-{call.key}", shared=True):
            host = arrive(call, stay.arrival, may_launch=may_launch, may_start=not stay.intent.looks)
            try:
                stay.session = boarded.enter_context(joined(stay, host, files))
            except Failure:
                if attempts_left == 0:
                    raise
                # A kept connection that a change of network killed still looks alive: a new one tells.
                close_master(host, call.tools)
            else:
                stay.empty = stay.session.empty
                stay.clean = stay.session.clean or stay.empty or stay.arrival.launched
                journal.finish(call.state, call.key)
                boarded.enter_context(lock(call.state, f"present-{call.key}", shared=True))
                return host
    raise AssertionError("unreachable")
