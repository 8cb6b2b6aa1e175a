"""What the guard of an instance says: who is on it, when it will end and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import ProtocolError
from ec2tasks.ssh.host import Host, ssh_argv
from ec2tasks.ssh.host_keys import is_pinned

STATE_FILE = "/run/ec2tasks-guard/state"
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


def ask_guard(host: Host, tools: Tools) -> GuardStatus | None:
    """Ask the guard of a running instance for its status, over the kept connection or a new one.

    None where it can't be asked within seconds, or does not answer; nothing is started, and no new host key
    is taken for good.
    """
    if not is_pinned(host):
        return None
    options = ("-T", "-o", "ConnectTimeout=5")
    try:
        done = tools.capture(ssh_argv(host, "cat", STATE_FILE, options=options), limits=ASKING)
    except Failure:
        return None
    try:
        return read_state(done.stdout.decode(errors="replace")) if done.returncode == 0 else None
    except ProtocolError as error:
        output.warning(error.what, hint=error.hint)
        return None


def last_words(aws: Aws, instance: Instance) -> str | None:
    """Why the guard stopped the instance, as it said on the console; None where that is not known."""
    lines = LAST_WORDS.findall(console_output(aws, instance.id, instead="why it stopped is not known"))
    return lines[-1].strip() if lines else None
