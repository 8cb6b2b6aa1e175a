"""The host keys of instances: pinned here, told from AWS's console output, and dropped with the instance.

A line of known_hosts whose comment is `console` holds a key that the console has shown; one that ssh itself
wrote has none, and was taken at first sight.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from enum import Enum

from ec2tasks.aws.client import Aws
from ec2tasks.aws.console import console_output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.ssh.host import Host, ssh_options

CONSOLE_KEYS = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(?P<keys>.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
HOST_KEY = re.compile(r"(?P<kind>(?:ssh|ecdsa)-\S+) (?P<body>[A-Za-z0-9+/=]+)")
FROM_CONSOLE = "console"
QUICK = Limits(seconds=5.0)  # for the control connection's own process here


class Pin(Enum):
    """How the host key of an instance came to be pinned on this machine."""

    NONE = "none"
    FIRST_SIGHT = "first sight"
    CONSOLE = "console"


class Contact(Enum):
    """How SSH may be asked for: with a pinned host key, with whichever is shown, or not yet."""

    PINNED = "pinned"
    FIRST_SIGHT = "first sight"
    LATER = "later"


class Verdict(Enum):
    """What the console says of a pinned host key."""

    UNKNOWN = "unknown"
    SAME = "same"
    OTHER = "other"


def pin_of(host: Host) -> Pin:
    """How this instance's host keys are pinned; all of them must have come from the console to count so."""
    shown, seen = _pinned_keys(host)
    if not shown and not seen:
        return Pin.NONE
    return Pin.CONSOLE if seen <= shown else Pin.FIRST_SIGHT


def _pinned_keys(host: Host) -> tuple[set[str], set[str]]:
    """The pinned host keys that the console has shown, and those that it has not, as `TYPE KEY`."""
    try:
        lines = host.known_hosts.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set(), set()
    words = [line.split(" ") for line in lines]
    own = [(" ".join(line[1:3]), FROM_CONSOLE in line[3:]) for line in words if line[0] == host.instance_id]
    return {key for key, shown in own if shown}, {key for key, shown in own if not shown}


def is_pinned(host: Host) -> bool:
    """Whether a host key of this instance is pinned on this machine in a way that counts for this host."""
    pin = pin_of(host)
    return pin is Pin.CONSOLE or (pin is Pin.FIRST_SIGHT and not host.console_first)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The host keys that a console shows, as `TYPE KEY`; `whole`: some stand there undisturbed."""

    keys: tuple[str, ...]
    whole: bool


def console_host_keys(console: str) -> Shown:
    """The host keys on the console, which the guard prints as cloud-init does.

    https://docs.cloud-init.io/en/latest/reference/modules.html (keys to console)
    """
    blocks = [
        [_host_key(line) for line in block.split("\n")[1:-1]]  # without what stands beside the marks
        for block in CONSOLE_KEYS.findall(console)
    ]
    keys = dict.fromkeys(key for block in blocks for key in block if key)
    return Shown(keys=tuple(keys), whole=any(block and all(block) for block in blocks))


def _host_key(line: str) -> str | None:
    """The host key in a line of the console; None where none is, or the kernel wrote into it.

    A key begins with its type once more: https://www.rfc-editor.org/rfc/rfc4253#section-6.6
    """
    key = HOST_KEY.search(line)
    try:
        body = base64.b64decode(key["body"], validate=True) if key else b""
    except binascii.Error:
        return None
    kind = key["kind"].encode() if key else b""
    return key[0] if key and body.startswith(len(kind).to_bytes(4, "big") + kind) else None


def verdict(pinned: Collection[str], shown: Shown) -> Verdict:
    """What the console says of the pinned host keys; of one that it does not name, only where it is whole."""
    if pinned and set(pinned) <= set(shown.keys):
        return Verdict.SAME
    return Verdict.OTHER if pinned and shown.whole else Verdict.UNKNOWN


def contact(aws: Aws, host: Host, tools: Tools) -> Contact:
    """How SSH may be asked for now; AWS is asked for the console where that is not settled."""
    if is_pinned(host):
        return Contact.PINNED
    if compare_with_console(aws, host, tools) is not Verdict.UNKNOWN:
        return Contact.PINNED
    return Contact.LATER if host.console_first else Contact.FIRST_SIGHT


def keys_at_first_sight(host: Host) -> frozenset[str]:
    """The pinned host keys of this instance that the console has not shown."""
    return frozenset(_pinned_keys(host)[1])


def compare_with_console(
    aws: Aws, host: Host, tools: Tools, *, met: Collection[str] = (), quiet: bool = False
) -> Verdict:
    """What AWS's console shows of the host key; from then on only what it has shown is pinned.

    `met`: what has been taken at first sight, also where another call has compared it since. Where none was,
    what the console shows is the SAME. Who has another one loses the control connection. Raises Failure where
    the right to look is missing and nothing else counts for this host; else says so, unless `quiet`.
    """
    instead = None if host.console_first else "" if quiet else "the host key is taken at first sight"
    shown = console_host_keys(console_output(aws, host.instance_id, instead=instead))
    seen = {*met, *keys_at_first_sight(host)}
    found = verdict(seen, shown) if seen else Verdict.SAME if shown.keys else Verdict.UNKNOWN
    if found is Verdict.OTHER:
        # First of all: whoever found it standing once the console's key is pinned would take it for checked.
        end_connection(host, tools)
        unpin(host, tools)
    if found is not Verdict.UNKNOWN:
        with host.known_hosts.open("a", encoding="utf-8") as file:
            file.writelines(f"{host.instance_id} {key} {FROM_CONSOLE}\n" for key in shown.keys)
    return found


def end_connection(host: Host, tools: Tools) -> None:
    """End the control connection, with all that goes over it."""
    tools.capture(["ssh", *ssh_options(host), "-O", "exit", host.login], limits=QUICK)


def unpin(host: Host, tools: Tools) -> None:
    """Drop the pinned host keys of a terminated instance, or those that are not its own."""
    if pin_of(host) is not Pin.NONE:
        tools.capture(
            ["ssh-keygen", "-q", "-R", host.instance_id, "-f", str(host.known_hosts)],
            limits=Limits(seconds=10.0),
        )
