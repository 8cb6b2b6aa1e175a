"""What the guard of an instance says: who is on it, when it will end and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import ProtocolError, script_argv
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.host_keys import is_pinned

IN_USE = "a session or a command of ec2tasks is on it"  # in the guard's words, as the next four
IDLE = "idle_stop: "
MAX_HOURS, MAX_COST = "max_hours", "max_cost"
STALLED = "stalled_stop: "
COUNTS_LATER = "idle_stop counts once nobody is on it and no command runs"
ASKING = Limits(seconds=8.0)  # who asks for the status must not wait for an instance that hangs
LAST_WORDS = re.compile(r"ec2tasks-guard(?:\[\d+\])?: (powering off after .*)")


@dataclass(frozen=True, kw_only=True)
class GuardStatus:
    """What the guard says: who or what is on its instance, in how many seconds it will end, and why.

    `ends_in` None is never as things stand; `end` is what it does then, stop or terminate.
    """

    reason: str
    ends_in: int | None
    because: str
    end: FinalState


def read_state(text: str) -> GuardStatus | None:
    """What `guard_status.sh` says, lines of a name and its value; None where no guard wrote its state.

    The guard is as old as its instance, and may be newer than this client: lines with other names are
    ignored, and those that are missing are empty, the end a stop. Raises ProtocolError where `ends_in`, which
    is needed, is missing or can't be read.
    """
    lines = (line.partition(" ") for line in text.splitlines())
    values = {name: value.strip() for name, _, value in lines}
    if "armed" not in values:
        return None
    ends_in = values.get("ends_in", "")
    if not re.fullmatch(r"-|[0-9]{1,10}", ends_in):
        raise ProtocolError(
            f"the instance's guard does not say `ends_in` as ec2tasks here knows it: `{ends_in}`",
            hint="`pip install --upgrade ec2tasks`; `ec2tasks down` ends the instance",
        )
    status = GuardStatus(
        reason=values.get("reason", ""),
        ends_in=None if ends_in == "-" else int(ends_in),
        because=values.get("because", ""),
        end=FinalState.TERMINATE if values.get("end") == "terminate" else FinalState.STOP,
    )
    numbers = {name: int(value) for name, value in values.items() if re.fullmatch("[0-9]{1,10}", value)}
    hours_by = MAX_COST if values.get("hours_by") == MAX_COST else MAX_HOURS
    return _as_of_now(status, values.get("in_use", ""), numbers, hours_by)


def _as_of_now(status: GuardStatus, in_use: str, numbers: Mapping[str, int], hours_by: str) -> GuardStatus:
    """The status where somebody has come since the guard's last look, or was the last to go."""
    hours = numbers.get("hours_left")
    if in_use == "yes" and status.reason != IN_USE:
        if not status.because.startswith(IDLE):
            return replace(status, reason=IN_USE)
        because = COUNTS_LATER if hours is None else hours_by
        return replace(status, reason=IN_USE, ends_in=hours, because=because)
    if in_use == "no" and status.reason == IN_USE:
        if status.because.startswith(STALLED):
            status = replace(status, ends_in=hours, because=COUNTS_LATER if hours is None else hours_by)
        reason, patience = "what was on it has just ended", numbers.get("idle_stop", 0)
        sooner = patience and (status.ends_in is None or patience < status.ends_in)
        if not sooner or status.end is FinalState.TERMINATE:
            return replace(status, reason=reason)
        return replace(status, reason=reason, ends_in=patience, because=IDLE + reason)
    return status


def ask_guard(host: Host, tools: Tools) -> GuardStatus | None:
    """Ask the guard of a running instance for its status, over the kept connection or a new one.

    None where it can't be asked within seconds, or does not answer; nothing is started, and no new host key
    is taken for good.
    """
    if not is_pinned(host):
        return None
    options = ("-T", "-o", "ConnectTimeout=5")
    try:
        done = tools.capture(script_argv(host, "guard_status.sh", options=options), limits=ASKING)
    except Failure:
        return None
    try:
        return read_state(done.stdout.decode(errors="replace")) if done.returncode == 0 else None
    except ProtocolError as error:
        output.warn_of(error)
        return None


def last_words(aws: Aws, instance: Instance) -> str | None:
    """Why the guard stopped the instance, as it said on the console; None where that is not known."""
    lines = LAST_WORDS.findall(console_output(aws, instance.id, instead="why it stopped is not known"))
    return lines[-1].strip() if lines else None
