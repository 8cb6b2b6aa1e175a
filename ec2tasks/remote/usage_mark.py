"""Whether anybody has ever used an instance, by the traces that sessions and logins leave on it."""

from __future__ import annotations

from ec2tasks.aws.client import Aws
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.ssh.host import Host, ssh_argv
from ec2tasks.ssh.host_keys import Contact, contact

MARK = ".ec2tasks/used"  # in the home there
ASKING = Limits(seconds=15.0)
# A session leaves its lock file; who came by hand leaves a shell history, or is still logged in.
USED_TEST = (
    f'if [ -e {MARK} ] || [ -e .ec2tasks/sessions.lock ] || [ -e .bash_history ] || [ -n "$(who)" ];'
    " then echo used; else echo unused; fi"
)


def mark(host: Host, tools: Tools) -> None:
    """Mark the instance as used by a client that holds no session: its user may work there by hand."""
    tools.capture(ssh_argv(host, "mkdir", "-p", MARK), limits=ASKING)


def was_used(host: Host, aws: Aws, tools: Tools) -> bool | None:
    """Whether anybody has ever been on a running instance; None where it gives no answer."""
    how = contact(aws, host, tools)
    if how is Contact.LATER:
        return None
    first = ["-o", "StrictHostKeyChecking=accept-new"] if how is Contact.FIRST_SIGHT else []
    options = ["-o", "ConnectTimeout=5", *first]
    answer = tools.capture(ssh_argv(host, "sh", "-c", USED_TEST, options=options), limits=ASKING)
    return {b"used": True, b"unused": False}.get(answer.stdout.strip())
