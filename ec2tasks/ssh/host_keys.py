"""The host keys of instances: read from AWS's console output, pinned here, and dropped with the instance."""

from __future__ import annotations

import re

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.ssh.host import Host

CONSOLE_KEYS = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(?P<keys>.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)


def is_pinned(host: Host) -> bool:
    """Whether a host key of this instance is pinned on this machine."""
    try:
        lines = host.known_hosts.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(line.split(" ", 1)[0] == host.instance_id for line in lines)


def console_host_keys(console: str) -> list[str]:
    """The host keys that cloud-init prints on the console, as `TYPE KEY`.

    https://docs.cloud-init.io/en/latest/reference/modules.html (keys to console)
    """
    block = CONSOLE_KEYS.search(console)
    lines = block["keys"].splitlines() if block else []
    keys = (re.search(r"((?:ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+)", line) for line in lines)
    return [key[1] for key in keys if key]


def pin_from_console(aws: Aws, host: Host) -> bool:
    """Pin the host keys that AWS shows in the instance's console output. False where it shows none (yet)."""
    console = console_output(aws, host.instance_id, instead="the host key is taken at first sight")
    keys = console_host_keys(console)
    if keys:
        with host.known_hosts.open("a", encoding="utf-8") as file:
            file.writelines(f"{host.instance_id} {key}\n" for key in keys)
    return bool(keys)


def unpin(host: Host, tools: Tools) -> None:
    """Drop the pinned host keys of a terminated instance."""
    if is_pinned(host):
        tools.capture(
            ["ssh-keygen", "-q", "-R", host.instance_id, "-f", str(host.known_hosts)],
            limits=Limits(seconds=10.0),
        )
