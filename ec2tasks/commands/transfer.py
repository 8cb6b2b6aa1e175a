"""The project's files during a stay: pushed before the command, fetched after it and meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.lifecycle.operation import Results, Stay
from ec2tasks.remote.folder import BrokenConnectionError
from ec2tasks.sync.engine import Moves, move
from ec2tasks.sync.pull import Calm

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before files are moved over another connection
LAST_PAUSE = 5.0  # seconds between fetches once AWS has announced that it takes the instance back
TICK = 0.5  # seconds between looks at whether it has


def move_files(stay: Stay, moves: Moves) -> None:
    """Move the project's files, over another connection where one breaks for as long as the instance runs.

    Raises Failure where not everything arrived.
    """
    pauses = iter(() if moves.calm else PAUSES)  # beside a command, the next fetch is another try
    while True:
        if (moves.pull or stay.clean) and not moves.calm and stay.session:
            stay.session.fetching()
        # Whatever was there when this call joined: from here on something may be.
        there, stay.empty = stay.there, False
        try:
            return move(stay.call.project.root, there, stay.job_id, stay.call.tools, moves)
        except BrokenConnectionError:
            pause = next(pauses, None)
            if pause is None or not stay.runs():
                raise
            output.step(f"connection lost, trying the {moves.verb} again")
            time.sleep(pause)
            stay.reconnect()


def fetch(stay: Stay, *, verbose: bool) -> Results:
    """Fetch everything; whether that worked. Why not is said, for the end of life is still to come."""
    try:
        move_files(stay, Moves(pull=True, verbose=verbose))
    except Failure as error:
        output.warning(error.what, hint=error.hint)
        return Results.MISSING
    except KeyboardInterrupt:
        stay.interrupted = True
        output.warning("interrupted while fetching the results")
        return Results.MISSING
    return Results.FETCHED


@contextlib.contextmanager
def fetched_meanwhile(stay: Stay) -> Iterator[None]:
    """Fetch results every `pull_every` while inside, so that a lost instance costs no more than that.

    Once AWS has announced the end of a spot instance, at once and again every few seconds until then.
    """
    assert stay.arrival.instance is not None
    every = stay.call.settings.pull_every
    if not every and not stay.arrival.instance.spot:
        yield
        return
    over = threading.Event()
    puller = threading.Thread(target=_keep_fetching, args=(stay, every, over), daemon=True)
    puller.start()
    try:
        yield
    finally:
        over.set()
        if not stay.detached:
            puller.join()


def _keep_fetching(stay: Stay, every: int, over: threading.Event) -> None:
    last, calm = time.monotonic(), Calm()
    while not over.wait(min(every or TICK, TICK)):
        if not calm.last and (at := stay.notice):
            calm.last, last = True, 0.0
            output.warning(f"AWS takes this spot instance back at {at}: fetching what is there")
        pause = LAST_PAUSE if calm.last else every
        if pause and time.monotonic() - last >= pause:
            # What does not come now comes the next time, or is said at the end.
            try:
                move_files(stay, Moves(pull=True, calm=calm))
            except Failure:
                pass
            except Exception as error:  # noqa: BLE001  # it must not keep the last fetch from being tried
                output.warning(f"what the command makes could not be fetched meanwhile: {error!r}")
            last = time.monotonic()
