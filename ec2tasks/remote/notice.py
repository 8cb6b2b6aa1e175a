"""What the instance says of its own end, a little before or long before it."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timedelta
from enum import Enum

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.remote.protocol import Message, ProtocolError


class EndReason(Enum):
    """Why an instance is about to end; the values are the words that session.sh says."""

    SPOT = "spot"
    MAX_HOURS = "max_hours"
    MAX_COST = "max_cost"
    STALLED_STOP = "stalled_stop"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What the instance knows of its own end a little before: why, and when in words."""

    reason: EndReason
    at: str


def read_notice(message: Message, *, now: datetime | None = None) -> Notice | None:
    """The notice that a message gives, None for one that takes an earlier back, or is of another version.

    Raises ProtocolError for an unknown reason.
    """
    reason = message.get("reason", EndReason, EndReason.SPOT if "time" in message.fields else None)
    if reason is None:
        return None
    at = message.get("time", str, "any moment")
    if (left := message.get("seconds", _few_seconds, None)) is not None:
        at = f"{(now or datetime.now()).astimezone() + timedelta(seconds=left):%H:%M:%S}"
    return Notice(reason=reason, at=at)


def say_stalled(message: Message, *, now: datetime | None = None) -> None:
    """Say that the commands do nothing, and when that ends the instance; nothing where that can't be read."""
    with contextlib.suppress(ProtocolError):
        left, minutes = message.need("seconds", _seconds), message.need("minutes", _seconds)
        moment = (now or datetime.now()).astimezone() + timedelta(seconds=left)
        output.warning(
            "nothing was printed, no file has changed, processors and GPUs are idle for"
            f" {minutes} min: stalled_stop stops the instance at {moment:%H:%M} unless that changes",
            hint="`ec2tasks use` shows what it does; `ec2tasks up --stalled-stop never` lets it go on",
        )


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,8}", text):
        raise ValueError(f"no seconds: {text!r}")
    return int(text)


def _few_seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text):
        raise ValueError(f"no few seconds: {text!r}")
    return int(text)
