"""Keeps which job a client here wants, from before it asks for anything until that job has begun.

A client may die in between. `finish` then says that the job never began, and takes no earlier one for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.base.final_state import FinalState
from ec2tasks.base.state import State
from ec2tasks.remote.job import UnbegunJob


@contextlib.contextmanager
def wanted(state: State, key: str, job_id: str, final_state: FinalState | None) -> Iterator[None]:
    """Keep while inside, and after a death in it, that this job is wanted; the latest under a key counts.

    Where it can't be kept, the run goes on all the same.
    """
    path = _path(state, key)
    draft = path.with_name(f".{path.name}.{job_id}")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            file = stack.enter_context(draft.open("w", encoding="utf-8"))
            # The kernel frees it when this process dies: what is left then is nobody's any more.
            fcntl.flock(file, fcntl.LOCK_EX)
            json.dump({"job": job_id, "final_state": final_state.value if final_state else None}, file)
            file.flush()
            draft.replace(path)
        yield


def has_begun(state: State, key: str, job_id: str) -> None:
    """Forget that this job is wanted: it has begun."""
    known = read(state, key)
    if known and known.job_id == job_id:
        with contextlib.suppress(OSError):
            _path(state, key).unlink()


def read(state: State, key: str) -> UnbegunJob | None:
    """The job that was wanted last under this key and is not known to have begun; None for none."""
    try:
        with _path(state, key).open(encoding="utf-8") as file:
            values = json.load(file)
            final_state = values["final_state"] and FinalState(values["final_state"])
            return UnbegunJob(
                job_id=str(values["job"]), final_state=final_state, coming=_is_held(file.fileno())
            )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _path(state: State, key: str) -> Path:
    return state.folder / "seen" / f"wanted-{key}"
