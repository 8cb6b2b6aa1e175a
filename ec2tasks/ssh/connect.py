"""Connections to an instance: the control connection that all of ssh and rsync shares, and Fabric's.

OpenSSH carries the run itself: one control connection (ControlMaster of ssh_config(5),
https://man.openbsd.org/ssh_config) serves rsync and the command, and outlives the call for a while, so
that the next one needs no handshake. Fabric's Connection is for people's own tasks.
"""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import UP, Instance
from ec2tasks.aws.reachability import BOOT_LIMIT, Reachability
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.retry import ticks
from ec2tasks.base.state import flock_within
from ec2tasks.ssh.forwards import forget_forwards
from ec2tasks.ssh.host import CONNECT_SECONDS, Host, master_argv, ssh_options
from ec2tasks.ssh.host_keys import QUICK, Contact, contact, end_connection, is_pinned, unpin

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import PKey

KEY_PATIENCE = 60.0  # seconds that cloud-init may take to install the key once SSH answers
SILENCE_LIMIT = 20.0  # seconds without an answer before the security group is looked at
ATTEMPT_LIMIT = 15.0  # seconds for one attempt
ERROR_LINES = 5  # of what a program that connects says
# What is said of a way that no waiting opens: the jump host is not known or has no network there; the AWS
# CLI is too old, has no credentials or no right, or there is no endpoint in the network.
WAY_CLOSED = (
    *(
        "Host key verification failed",
        "Could not resolve hostname",
        "not found",
        "Invalid choice",
        "invalid choice",
    ),
    *(
        "Unable to locate credentials",
        "An error occurred",
        "There are no available instance connect endpoints",
    ),
    "administratively prohibited",
)
UNSHOWN = "AWS's console does not show its host key"
SSH_SAYS = 64 * 1024  # bytes of what ssh says of an attempt


def is_connected(host: Host, tools: Tools) -> bool:
    """Whether the control connection of an earlier call is still open."""
    checked = tools.capture(["ssh", *ssh_options(host), "-O", "check", host.login], limits=QUICK)
    return checked.returncode == 0


def is_usable(host: Host, tools: Tools) -> bool:
    """Whether that connection may be used: its host key counts for this host."""
    return is_pinned(host) and is_connected(host, tools)


def open_master(host: Host, tools: Tools, *, how: Contact = Contact.PINNED) -> str | None:
    """Open the control connection where it is not open yet; return the error's text, None where it stands.

    At FIRST_SIGHT a host key that is not pinned is accepted and pinned; LATER is not asked for at all.
    """
    if how is Contact.LATER:
        return UNSHOWN
    if is_connected(host, tools):
        return None
    with _one_at_a_time(host) as waited:
        if waited and is_connected(host, tools):
            return None
        return _open_master(host, tools, strict=how is Contact.PINNED)


@contextlib.contextmanager
def _one_at_a_time(host: Host) -> Iterator[bool]:
    """Be the only call that opens it; yields whether another one did meanwhile.

    Of two at once, ssh takes one, and leaves the other's connection open in the background for nobody.
    """
    with (host.sockets / f"opening-{host.instance_id}").open("w") as file:
        waits = not flock_within(file.fileno(), fcntl.LOCK_EX, 0.0)
        if waits:
            flock_within(file.fileno(), fcntl.LOCK_EX, ATTEMPT_LIMIT)
        yield waits


def _open_master(host: Host, tools: Tools, *, strict: bool) -> str | None:
    with (host.sockets / f"said-{host.instance_id}").open("w+b") as errors:
        # Not a pipe: the connection stays in the background and would keep a pipe open for ever.
        with tools.start(
            master_argv(host, strict=strict),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        ) as opening:
            try:
                code = opening.wait(timeout=ATTEMPT_LIMIT)
            except subprocess.TimeoutExpired:
                opening.kill()
                return f"{_said_on_the_way(host)}timed out"
        errors.seek(0)
        text = errors.read(SSH_SAYS).decode(errors="replace").strip()
    return None if code == 0 else f"{_said_on_the_way(host)}{text or f'ssh ended with {code}'}"


def _said_on_the_way(host: Host) -> str:
    """What the program that connects says, as lines before ssh's own; empty where ssh connects itself."""
    if not host.proxy:
        return ""
    try:
        with host.way_log.open("rb") as log:
            return log.read(SSH_SAYS).decode(errors="replace").strip() + "\n"
    except FileNotFoundError:
        return ""


def close_master(host: Host, tools: Tools) -> None:
    """Close the control connection: it carries nothing any more, or the instance has ended."""
    end_connection(host, tools)


def forget_host(host: Host, tools: Tools) -> None:
    """Close the control connection to a terminated instance and drop its pinned host keys."""
    close_master(host, tools)
    unpin(host, tools)
    forget_forwards(host)


def wait_ready(
    host: Host,
    aws: Aws,
    tools: Tools,
    *,
    describe: Callable[[], Instance | None],
    open_port: Callable[[], bool],
    why_not: Callable[[Instance | None], Reachability],
    limit: float = BOOT_LIMIT,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until SSH answers and the control connection is open, trying each second.

    `describe` asks AWS for the instance; `open_port` opens the SSH port to this machine's address, True where
    it was closed; `why_not` asks AWS about the way there; `limit` is in seconds. Raises Failure with ssh's
    own last words where the key is refused, the host key is another than the pinned one, the way there is
    closed, the instance ends meanwhile, or nothing answers in time.
    """
    began, error, refused_since, port_checked = clock(), "", None, False
    for _ in ticks(every=1.0, limit=limit, sleep=sleep, clock=clock):
        how = contact(aws, host, tools)
        error = open_master(host, tools, how=how) or ""
        if not error:
            return
        check_error(error, host)
        if "Permission denied" in error or "Too many authentication" in error:
            refused_since = refused_since or clock()
            if clock() - refused_since > KEY_PATIENCE:
                raise _refused_keys(host, error)
        elif not port_checked and "timed out" in error and clock() - began > SILENCE_LIMIT:
            port_checked = True
            if open_port():
                output.step("this machine's address changed: port 22 is opened to the new one")
        _check_up(describe(), host)
    now = describe()
    raise _no_answer(host, error, limit, now, why_not(now))


def check_error(error: str, host: Host) -> None:
    """Raise Failure for an error of ssh that no waiting mends."""
    if "too long for Unix domain socket" in error:
        raise Failure(error, hint="set XDG_RUNTIME_DIR to a folder with a shorter path")
    if f"ost key for {host.instance_id} has changed" in error or f"is known for {host.instance_id} " in error:
        raise _wrong_host_key(host)
    theirs = "Permission denied" in error and host.login not in error
    if host.proxy and (theirs or any(words in error for words in WAY_CLOSED)):
        raise _way_closed(host, error)


def _check_up(instance: Instance | None, host: Host) -> None:
    if instance is None or instance.state not in UP:
        state = instance.state if instance else "gone"
        reason = f": {instance.reason}" if instance and instance.reason else ""
        raise Failure(f"instance {host.instance_id} is {state} before SSH answered{reason}", hint="try again")


def _wrong_host_key(host: Host) -> Failure:
    return Failure(
        f"{host.address} does not show the host key pinned for {host.instance_id}: someone may be in between",
        hint=(
            f"`aws ec2 get-console-output --latest --instance-id {host.instance_id}` shows the true one;"
            f" where you trust it: ssh-keygen -R {host.instance_id} -f {host.known_hosts}"
        ),
    )


def _way_closed(host: Host, error: str) -> Failure:
    """The failure that the program which connects gets no further, and more waiting does not help it."""
    lines = [line for line in error.splitlines() if line.strip() and "UNKNOWN port 65535" not in line]
    by_hand = f"`ssh {host.proxy[-1]} true`" if host.proxy[0] == "ssh" else f"`{shlex.join(host.proxy)}`"
    return Failure(
        f"via: {host.proxy[-1] if host.proxy[0] == 'ssh' else 'eice'} leads nowhere",
        lines=lines[-ERROR_LINES:],
        hint=f"{by_hand} shows the same; once that works, so does this",
    )


def _refused_keys(host: Host, error: str) -> Failure:
    keys = ", ".join(str(path) for path in host.identities) or "none found in ~/.ssh, none in the agent"
    return Failure(
        f"{host.login} refuses the keys of this machine ({keys}): {error.splitlines()[-1]}",
        hint="-i FILE names the private key, and keeps the agent's out of the way; --key-name another key"
        " pair; user: the login user of the image",
    )


def _no_answer(
    host: Host, error: str, limit: float, instance: Instance | None, found: Reachability
) -> Failure:
    """The failure that nothing answers, with what AWS says of the reason and the console's last lines."""
    last = error.splitlines()[-1]
    if error == UNSHOWN:
        return Failure(
            f"{UNSHOWN} for {limit:.0f} s, and strict_host_keys waits for that: {host.instance_id}",
            lines=found.console,
            hint="strict_host_keys: false takes the key at first sight, and compares it once it is shown",
        )
    group = next(iter(instance.group_ids), "sg-…") if instance else "sg-…"
    reasons = "; ".join([last, *found.reasons])
    return Failure(
        f"SSH at {host.address} port {host.port} did not answer for {limit:.0f} s: {reasons}",
        lines=found.console,
        hint=found.hint(group, host.port),
    )


def fabric_connection(host: Host) -> Connection:
    """A Fabric Connection to the same host with the same keys, which accepts no host key but the pinned ones.

    https://docs.fabfile.org/en/stable/api/connection.html
    """
    from fabric import Config, Connection
    from paramiko import RejectPolicy
    from paramiko.hostkeys import HostKeys

    pinned = HostKeys(str(host.known_hosts))
    connection = Connection(
        host=host.address,
        user=host.user,
        port=host.port,
        connect_timeout=CONNECT_SECONDS,
        gateway=shlex.join(host.proxy) or None,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        connect_kwargs={
            "key_filename": [str(path) for path in host.identities],
            "allow_agent": not host.only_these,
            "look_for_keys": False,
            # Else paramiko waits 15 s for a server that accepts and says nothing, and 30 s more for its yes.
            "banner_timeout": CONNECT_SECONDS,
            "auth_timeout": CONNECT_SECONDS,
            "pkey": _agent_key(host.public_key) if host.public_key else None,
        },
    )
    connection.client.set_missing_host_key_policy(RejectPolicy())
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    for kind, key in (pinned.lookup(host.instance_id) or {}).items():
        connection.client.get_host_keys().add(name, kind, key)
    return connection


def _agent_key(public: Path) -> PKey | None:
    """The ssh agent's key with this public half; None where it has no such key, or there is no agent."""
    from paramiko.agent import Agent
    from paramiko.ssh_exception import SSHException

    body = public.read_text(encoding="utf-8").split()[1]
    try:
        return next((key for key in Agent().get_keys() if key.get_base64() == body), None)
    except SSHException:
        return None
