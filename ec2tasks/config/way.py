"""Parsers of the settings that say how an instance is reached, and from where."""

from __future__ import annotations

import ipaddress
import re

from ec2tasks.config.parsers import matching, parser, text

VIA_PUBLIC, VIA_PRIVATE, VIA_EICE = "public", "private", "eice"
WORD = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
JUMP_HOST = rf"(?:{WORD}@)?{WORD}"


@parser(JUMP_HOST)
def jump_host(value: object) -> str:
    """`public`, `private`, `eice`, or a host as ssh takes it; none that it would take for an option."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return matching(JUMP_HOST, "bastion")(value)


BYTE, PIECE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", "[0-9A-Fa-f]{1,4}"
NETWORKS = (
    rf"(?:{BYTE}\.){{3}}{BYTE}/(?:[89]|[12]\d|3[0-2])",
    rf"(?:(?:{PIECE}:){{1,7}}:|(?:{PIECE}:){{1,6}}:{PIECE}|(?:{PIECE}:){{7}}{PIECE})"
    r"/(?:1[6-9]|[2-9]\d|1[01]\d|12[0-8])",
)


@parser("|".join(NETWORKS))
def network(value: object) -> str:
    """A network in CIDR notation, IPv4 or IPv6; not the whole world, nor a great part of it."""
    word = text(value)
    if not re.fullmatch("|".join(NETWORKS), word):
        raise ValueError(
            f"`{word}` is not of the form `203.0.113.0/24` or `2001:db8::/32`, or wider than /8 (IPv6: /16)"
        )
    return str(ipaddress.ip_network(word, strict=False))
