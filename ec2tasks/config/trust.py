"""What a project's own files wish beyond its folder: each such wish counts only once the user agrees to it.

A cloned repository's files are not the user's words. What an option, the caller's environment or the user's
own files say is; a wish that changes nothing of what these say is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.parsers import FileText, dollars_text, span_text

LONGEST_IDLE = (
    86400  # seconds; an instance that idles for longer without being ended is one that was forgotten
)
# `8888:localhost:8888` listens here for this machine's own programs alone, as these addresses do.
LISTENS = re.compile(r"(?:(?P<bind>.*):)?\d+:(?:[^:\[\]]+|\[[^\]]+\]):\d+")
LOOPBACK = re.compile(r"localhost|127\.[\d.]+|\[?::1\]?")
LINK = "link"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Something that a project's own files wish beyond its folder.

    `kind` is the setting, or `link`; `source` where it stands; `words` what it comes to. `parts` are all that
    the user agrees to by a yes: another part is another wish.
    """

    kind: str
    source: str
    words: str
    parts: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A hash by which two wishes are the same."""
        return hashlib.sha256(json.dumps([self.kind, *self.parts]).encode()).hexdigest()


class Origin(Protocol):
    """What must be known of a value's source: whether it is one of the project's own files."""

    @property
    def of_project(self) -> bool:
        """Whether it came with the project."""


# Which parts of a value reach beyond the project, seen what it is without the project's files, and the root.
Rule = Callable[[Any, Any, Path], Iterable[str]]


def _changed(value: Any, without: Any, _root: Path) -> Iterable[str]:
    return [str(value)] if value != without else []


def _each_new(value: Iterable[str], without: Iterable[str], _root: Path) -> Iterable[str]:
    return [part for part in dict.fromkeys(value) if part not in without]


def _listening(value: Iterable[str], without: Iterable[str], root: Path) -> Iterable[str]:
    """The forwards that let others than this machine in."""
    binds = ((part, LISTENS.fullmatch(part)) for part in _each_new(value, without, root))
    return [
        part
        for part, match in binds
        if not match or (match["bind"] is not None and not LOOPBACK.fullmatch(match["bind"]))
    ]


def _file_outside(value: object, without: object, root: Path) -> Iterable[str]:
    if (
        not isinstance(value, FileText)
        or value == without
        or value.path.is_relative_to(os.path.realpath(root))
    ):
        return []
    return [str(value.path)]


def _resolved(value: Path, without: Path | None, _root: Path) -> Iterable[str]:
    real = os.path.realpath(value)
    return [real] if without is None or real != os.path.realpath(without) else []


def _by_id(value: str, without: object, _root: Path) -> Iterable[str]:
    return [value] if value.startswith("ami-") and value != without else []


def _idles_long(value: int, without: int, _root: Path) -> Iterable[str]:
    return [span_text(value)] if _is_longer(value, without) and _is_longer(value, LONGEST_IDLE) else []


def _longer(value: int, without: int, _root: Path) -> Iterable[str]:
    return [span_text(value)] if _is_longer(value, without) else []


def _dearer(value: float, without: float, _root: Path) -> Iterable[str]:
    return [dollars_text(value)] if _is_longer(value, without) else []


def _shorter(value: int, without: int, _root: Path) -> Iterable[str]:
    return [span_text(value)] if _is_longer(without, value) else []


def _is_longer(span: float, other: float) -> bool:
    """Whether a time or sum is more than another one; 0 is without end."""
    return other != 0 and (span == 0 or span > other)


def _granted(value: bool, without: bool, _root: Path) -> Iterable[str]:
    return ["yes"] if value and not without else []


def _taken_back(value: bool, without: bool, _root: Path) -> Iterable[str]:
    return ["no"] if without and not value else []


# The settings that may reach beyond the project: which of their values do, and what those come to.
REACHING: Mapping[str, tuple[Rule, str]] = {
    "endpoint": (_changed, "which AWS is asked, with your credentials and at your cost"),
    "profile": (_changed, "whose credentials of yours are used, in which account and at whose cost"),
    "name": (_changed, "your instance of that name, another project's too"),
    "key_name": (_changed, "the key pair, and whose instances are found, used and ended"),
    "key_file": (_resolved, "a private key here, with which instances are entered"),
    "image": (_by_id, "an image that need not be Amazon's: its programs get your files and rights"),
    "iam_instance_profile": (_changed, "the AWS rights of the instance, for whatever runs there"),
    "security_group": (_changed, "who may reach the instance, and what it may reach"),
    "create_security_group": (_granted, "a security group is made in your account"),
    "strict_host_keys": (_taken_back, "what is sent before AWS has told who answers"),
    "capacity_reservation": (_changed, "capacity that your account pays for, used or not"),
    "subnet": (_each_new, "a network of your account, and what else is in it"),
    "via": (_changed, "a program or host through which all goes that is sent"),
    "ssh_from": (_each_new, "a network that may reach your instances"),
    "user_data": (_file_outside, "a file of yours, which everybody on the instance can read"),
    "ports": (_listening, "a port here that other machines reach"),
    "reverse_ports": (_each_new, "a port of this machine or its network, for whatever runs there"),
    "forward_env": (_each_new, "a variable of your environment, for whatever runs there"),
    "idle_stop": (_idles_long, "a forgotten instance goes on, and its bill with it"),
    "max_hours": (_longer, "a longer bill than your own limit allows"),
    "max_cost": (_dearer, "a larger bill than your own limit allows"),
    "stalled_stop": (_longer, "a command that hangs keeps its instance longer than you allow"),
    "reap_after": (_shorter, "`ec2tasks reap` ends instances of all your projects sooner"),
}


def setting_wishes(
    values: Mapping[str, Any], sources: Mapping[str, Origin], without: Mapping[str, Any], root: Path
) -> tuple[Wish, ...]:
    """The wishes among merged settings; `without` are the same settings without the project's own files."""
    return tuple(
        Wish(kind=name, source=str(sources[name]), words=about, parts=(part,))
        for name, (rule, about) in REACHING.items()
        # A list that adds up has the source of its last part; what is new in it is the project's.
        if values[name] is not None and values[name] != without[name]
        if sources[name].of_project or isinstance(values[name], tuple)
        for part in rule(values[name], without[name], root)
    )


def link_wish(path: str, real: Path) -> Wish:
    """The wish of a link at a path of the project that leads out of it, to that real path."""
    return Wish(
        kind=LINK,
        source=path,
        words=f"what is at `{real}`, which travels as the content of the link",
        parts=(path, str(real)),
    )
