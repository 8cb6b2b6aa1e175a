"""How far cloud-init is with an instance's boot, and whether the user's own user data failed in it."""

from __future__ import annotations

import json

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import Message, read_message, script_argv
from ec2tasks.ssh.host import Host

ANSWERING = Limits(seconds=20.0)
NO_RESULT = "cloud-init does not say how it ended"


@dataclass(frozen=True, kw_only=True)
class BootStatus:
    """How far cloud-init is: `running` or through, so many seconds after the guard was armed.

    `errors`: what failed, in cloud-init's words; `last_lines`: what it logged last.
    """

    running: bool
    seconds: int
    errors: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()


def boot_status(host: Host, tools: Tools) -> BootStatus | None:
    """Ask the instance how far its boot is. None where it does not answer. Raises ProtocolError."""
    answer = tools.capture(script_argv(host, "cloud_init.sh"), limits=ANSWERING)
    messages = (read_message(line, "boot") for line in answer.stdout.decode(errors="replace").splitlines())
    return next((read_boot_status(message) for message in messages if message), None)


def read_boot_status(message: Message) -> BootStatus:
    """The status in an answer of cloud_init.sh. Raises ProtocolError."""
    state = message.need("state", str)
    return BootStatus(
        running=state == "running",
        seconds=message.need("seconds", int),
        errors=read_errors(message.get("result", str, "")) if state == "ended" else (),
        last_lines=tuple(message.get("last", str, "").splitlines()),
    )


def read_errors(result: str) -> tuple[str, ...]:
    """The errors that cloud-init's result.json names; one of ours where it is not as cloud-init writes it.

    https://docs.cloud-init.io/en/latest/explanation/return_codes.html
    """
    try:
        errors = json.loads(result)["v1"]["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return (NO_RESULT,)
    if not isinstance(errors, list):
        return (NO_RESULT,)
    return tuple(str(error) for error in errors)
