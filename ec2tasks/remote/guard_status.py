"""What the guard says of its instance: who is on it, when it will end and why."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.aws.instances import HALTED, UP, Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import Tools
from ec2tasks.config.parsers import duration
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.ssh.host import Host, ssh_argv
from ec2tasks.ssh.host_keys import is_pinned

STATE_FILE = "/run/ec2tasks-guard/state"
ASK_LIMIT = 8.0  # seconds; who asks for the status must not wait for an instance that hangs
LAST_WORDS = re.compile(r"ec2tasks-guard(?:\[\d+\])?: (powering off after .*)")
BY_ITSELF = "Instance initiated shutdown"
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
REASONS = {
    "UserInitiated": "it was stopped on request: by ec2tasks, or in AWS's console",
    "SpotInstance": "AWS took it back: it ran at the spot price",
    "InternalError": "AWS stopped it for an error of its own",
}


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
    """What the guard's state file says, lines of a name and its value; None where no guard wrote it.

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
    return GuardStatus(
        reason=values.get("reason", ""),
        ends_in=None if ends_in == "-" else int(ends_in),
        because=values.get("because", ""),
        end=FinalState.TERMINATE if values.get("end") == "terminate" else FinalState.STOP,
    )


def ask(host: Host, tools: Tools) -> GuardStatus | None:
    """What the guard of a running instance says, over the kept connection or a new one.

    None where it can't be asked within seconds, or does not answer; nothing is started, and no new host key
    is taken for good.
    """
    if not is_pinned(host):
        return None
    options = ("-T", "-o", "ConnectTimeout=5")
    try:
        done = tools.capture(ssh_argv(host, "cat", STATE_FILE, options=options), timeout=ASK_LIMIT)
    except Failure:
        return None
    try:
        return read_state(done.stdout.decode(errors="replace")) if done.returncode == 0 else None
    except ProtocolError as error:
        output.warning(error.what, hint=error.hint)
        return None


def last_words(aws: Aws, found: Instance) -> str | None:
    """Why the guard stopped the instance, as it said on the console; None where that is not known."""
    words = LAST_WORDS.findall(console_output(aws, found.id, instead="why it stopped is not known"))
    return words[-1].strip() if words else None


def words(found: Instance, outlook: GuardStatus | None, said: str | None = None) -> list[str]:
    """What `status` says below the table; `said` are the guard's last words."""
    if found.state == "running":
        return _running(outlook)
    if found.state in HALTED and BY_ITSELF in found.reason:
        return [f"it stopped itself: {said}" if said else "it stopped itself, or was shut down from inside"]
    if found.state in HALTED:
        known = next((words for code, words in REASONS.items() if code in found.reason), None)
        return [known or f"stopped: {found.reason}"] if found.reason else []
    return []


def _running(outlook: GuardStatus | None) -> list[str]:
    if outlook is None:
        return ["its guard could not be asked when it will end"]
    verb = "terminates itself" if outlook.end is FinalState.TERMINATE else "stops itself"
    if outlook.ends_in is None:
        return [outlook.reason, f"it does not end by itself as things stand: {outlook.because}"]
    return [outlook.reason, f"it {verb} in {duration(outlook.ends_in)} ({outlook.because.partition(':')[0]})"]


def described(outlook: GuardStatus | None, lines: list[str]) -> dict[str, object]:
    """The same as JSON can hold it."""
    return {"guard": {**asdict(outlook), "end": outlook.end.value} if outlook else None, "outlook": lines}


def facts(instance: Instance, *, now: datetime | None = None) -> dict[str, object]:
    """What `status` and `ls` tell of an instance, as JSON can hold it."""
    moment = now or datetime.now(timezone.utc)
    spent, runs = instance.cost_until(moment), instance.state in UP
    return {
        "name": instance.name,
        "id": instance.id,
        "state": instance.state,
        "type": instance.type,
        "zone": instance.zone,
        "address": instance.address,
        "user": instance.user,
        "spot": instance.spot,
        "started": instance.launched.isoformat(),
        "stopped": instance.stopped.isoformat() if instance.stopped else None,
        "age_seconds": round((moment - instance.launched).total_seconds()) if runs else None,
        "price_per_hour": instance.price,
        "cost": None if spent is None else round(spent, 4),
    }
