"""The samples of a job's use of its machine, as the instance keeps them, fetched."""

from __future__ import annotations

from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import script_argv
from ec2tasks.ssh.host import Host
from ec2tasks.usage.samples import FILE_LIMIT

ASKING = Limits(out=FILE_LIMIT, seconds=30.0)


def fetch_samples(host: Host, job_id: str, tools: Tools, *, lines: int | None = None) -> str:
    """The file of samples of a job, or its last lines; empty where there is none.

    Raises Failure where it can't be had.
    """
    argv = script_argv(host, "follow.sh", "kept", job=job_id, stream="samples", lines=lines)
    answer = tools.capture(argv, limits=ASKING).within_limits()
    if answer.returncode == 255:  # ssh's own
        raise Failure("the instance does not answer", hint="`ec2tasks status` shows it")
    return answer.stdout.decode(errors="replace") if answer.returncode == 0 else ""
