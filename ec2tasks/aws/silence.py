"""An AWS endpoint that accepts and says nothing is asked twice at most, and after that once by each call.

boto3 alone would ask six times, a minute each.
https://docs.aws.amazon.com/boto3/latest/guide/retries.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ec2tasks.aws.errors import is_silence, is_transient, note_silence
from ec2tasks.base import output

TRIES = 2  # that may end in silence
SILENT = "ec2tasks_silence"  # in what botocore keeps of a call


def watch_silence(events: Any, silences: list[Exception], config: Any) -> None:
    """Let a call of a client end once so many tries in a row brought no answer.

    `silences` holds those of all clients since the last answer: a network that is dead is so for each. How
    long was waited, by the client's `config`, stands in the error from then on.
    """

    def note(context: dict[str, Any], exception: Exception | None, **_: object) -> None:
        seconds = note_silence(exception, config) if exception else None
        if seconds is None:
            silences.clear()
            return
        context[SILENT] = exception
        silences.append(cast(Exception, exception))
        if len(silences) == 1:
            output.step(f"no answer from AWS in {seconds} s: {exception}")

    def ask_no_more(request: Any, **_: object) -> None:
        if len(silences) >= TRIES and SILENT in request.context:
            raise request.context[SILENT]

    events.register("response-received", note)
    events.register("request-created", ask_no_more)


def passes() -> Callable[[Exception], bool]:
    """Whether to ask again after an error, for one call: of silence, only so often."""
    silent: list[Exception] = []

    def again(error: Exception) -> bool:
        silent.extend([error] if is_silence(error) else [])
        return is_transient(error) and len(silent) < TRIES

    return again
