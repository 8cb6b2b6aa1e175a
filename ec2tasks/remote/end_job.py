"""Ends a job on the instance, or hands it a signal."""

from __future__ import annotations

from enum import Enum

from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import read_message, script_argv
from ec2tasks.ssh.host import Host

SIGNALLING = Limits(seconds=20.0)  # a command that is being started is waited for there
GRACE = 30.0  # seconds that a command has to end by itself
HARD = 10.0  # seconds more, once it was told to
CANCELLING = Limits(seconds=2 * (GRACE + HARD) + 60.0)  # behind another client that cancels it


class EndedBy(Enum):
    """What ended a job that was cancelled; the values are the words that end_job.sh says."""

    BEFORE = ""
    INT = "INT"
    HUP = "HUP"
    TERM = "TERM"
    KILL = "KILL"
    NOTHING = "none"


def send_signal(host: Host, job_id: str, name: str, tools: Tools) -> bool:
    """Send a signal, say INT, to all that runs in the foreground of a job; whether it arrived."""
    argv = script_argv(host, "end_job.sh", "signal", job=job_id, name=name)
    return tools.capture(argv, limits=SIGNALLING).returncode == 0


def cancel_job(host: Host, job_id: str, tools: Tools, *, grace: float = GRACE, hard: float = HARD) -> EndedBy:
    """End a job, as Ctrl-C does and then harder, and wait for its end; by what it ended.

    It goes on there also where this client goes. Raises Failure where the instance can't be asked.
    """
    argv = script_argv(host, "end_job.sh", "cancel", job=job_id, grace=f"{grace:g}", hard=f"{hard:g}")
    answer = tools.capture(argv, limits=CANCELLING).within_limits()
    lines = answer.stdout.decode(errors="replace").splitlines()
    message = next((found for line in lines if (found := read_message(line, "cancelled"))), None)
    if message is None:
        said = answer.stderr.decode(errors="replace").strip()
        raise Failure(
            f"the instance does not tell whether job {job_id} has ended: {said or 'no answer'}",
            hint="`ec2tasks jobs` shows how it stands; `ec2tasks cancel` tries again",
        )
    return message.get("by", EndedBy, EndedBy.BEFORE)
