"""Waits for the user's own `user_data` on an instance, so that a first run finds what it installs."""

from __future__ import annotations

import time
from collections.abc import Callable

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.retry import ticks
from ec2tasks.base.state import read_cached, write_cached
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.remote.cloud_init import BootStatus, boot_status
from ec2tasks.ssh.connect import open_master

BOOT_LIMIT = 900  # seconds that the guard leaves to a boot (boot_limit in guard.sh)
TELL_EVERY = 10  # seconds


def has_first_boot(lease: Lease) -> bool:
    """Whether the instance may still run `user_data`: that it has ended is kept here, by instance."""
    context = lease.context
    known = read_cached(context.state, f"booted-{context.key}") or {}
    return bool(context.settings.user_data) and known.get("instance") != lease.instance.id


def wait_for_user_data(
    lease: Lease,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until cloud-init is through with the boot, for as long as the guard does; say what failed there.

    Raises Failure where the instance ends meanwhile.
    """
    context, status, told = lease.context, None, -TELL_EVERY
    for waited in ticks(every=1.0, limit=BOOT_LIMIT, sleep=sleep, clock=clock):
        status = boot_status(lease.host, context.tools) or status
        if status is None or status.running:
            _check_up(lease)
        if status and (not status.running or status.seconds >= BOOT_LIMIT):
            break
        text = f"waiting for user_data to end on the instance: {waited:.0f} s"
        if output.passing(text):
            told = int(waited)
        elif waited - told >= TELL_EVERY:
            told = int(waited)
            output.step(text)
    if status is None or status.running:
        output.warning(
            f"user_data has not ended on {lease.instance.where} within {BOOT_LIMIT // 60} minutes",
            hint="`ec2tasks shell`, and there: tail -f /var/log/cloud-init-output.log",
        )
        return
    write_cached(context.state, f"booted-{context.key}", {"instance": lease.instance.id})
    if status.errors:
        _say_failed(lease, status)
    elif told >= 0:
        output.step("user_data has ended")


def _check_up(lease: Lease) -> None:
    """Open the connection again where it broke: user data may restart the instance, or end it."""
    lease.hold_host_key()
    if open_master(lease.host, lease.context.tools) is not None and not lease.is_up():
        raise Failure(
            f"{lease.instance.where} ended before its user_data did",
            hint="`ec2tasks status` shows it; its console: `aws ec2 get-console-output --latest"
            f" --instance-id {lease.instance.id}`",
        )


def _say_failed(lease: Lease, status: BootStatus) -> None:
    output.warning(
        f"user_data failed on {lease.instance.where}: {'; '.join(status.errors)};"
        " the last lines of its log, /var/log/cloud-init-output.log:",
        lines=status.last_lines,
        hint="`ec2tasks shell` looks around there; it runs again on a new instance: `ec2tasks down`",
    )
