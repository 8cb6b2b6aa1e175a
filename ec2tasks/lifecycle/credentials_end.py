"""What to say of AWS credentials that end before the run can, or have ended under it.

A run needs none: it goes on, and its results come over SSH. Only ending its instance takes AWS; where that
can't be asked any more, the instance's own guard ends it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ec2tasks.aws.credential_errors import EndedError
from ec2tasks.base import output
from ec2tasks.config.parsers import span_text
from ec2tasks.lifecycle.context import CallContext

NOW_ENDS = "with new credentials, `ec2tasks down` ends it at once"


def tell_of_end(context: CallContext, now: datetime | None = None) -> None:
    """Say at a run's start where its credentials end before it may."""
    settings = context.settings
    words = end_words(
        context.aws.login.ends,
        now or datetime.now(timezone.utc),
        max_seconds=settings.max_hours,
        idle_stop=settings.idle_stop,
    )
    if words:
        output.warning(words, hint=NOW_ENDS)


def end_words(ends: datetime | None, now: datetime, *, max_seconds: int, idle_stop: int) -> str | None:
    """What there is to say of credentials that end then; None where the run ends before, or no end is known.

    `max_seconds` 0 is a run without a limit, `idle_stop` 0 a guard that never ends an idle instance.
    """
    if ends is None or (max_seconds and ends >= now + timedelta(seconds=max_seconds)):
        return None
    minutes = max(0, round((ends - now).total_seconds() / 60))
    longest = f"max_hours is {span_text(max_seconds)}" if max_seconds else "no max_hours limits the run"
    return (
        f"your AWS credentials end at {ends.astimezone():%H:%M}, in {minutes} min, and {longest}:"
        " a longer run goes on and its results come here, but only the instance's guard can end it then,"
        f" {_guard(idle_stop)}"
    )


def ended_words(error: EndedError, idle_stop: int) -> tuple[str, str]:
    """Why an instance is left running that AWS can't be asked to end, and what to type."""
    told = "" if "have ended" in error.what else f" ({error.what})"
    reason = f"your AWS credentials have ended{told}; its guard ends it, {_guard(idle_stop)}"
    return reason, f"{error.hint}; {NOW_ENDS}"


def _guard(idle_stop: int) -> str:
    if not idle_stop:
        return "and idle_stop is never: it runs until you do"
    return f"{span_text(idle_stop)} after the last one has left it (idle_stop)"
