"""The one switch for everything that goes wrong on AWS: the faults by name, and the file that keeps them.

`ec2tasks local.faults --set 'latency_ms: 50'`, or `control.set_faults({"latency_ms": 50})`. What is set
replaces all that was set before; `--clear`, or None, ends all. They act at once, on running instances too,
where nothing else is said.

    capacity: [g5.xlarge, g6.xlarge@eu-central-1a]  no capacity for a type, everywhere or in one zone
    capacity_lost: [g5.xlarge@eu-central-1a]        a launch or start is granted, and taken back
    throttle: 3                 the next 3 calls get RequestLimitExceeded (HTTP 503)
    throttle: {RunInstances: 2, DescribeInstances: 1}          the same by action
    errors: {RunInstances: VcpuLimitExceeded}                  each such call gets this error
    errors: {RunInstances: {code: InternalError, status: 500, times: 1, after: true}}
                                `times` limits it; with `after` the call is carried out all the same;
                                the code `drop` closes the connection and answers nothing
    boot_seconds: 5             an instance stays pending so much longer (boots that begin from now on)
    latency_ms: 50              the round trip between here and the instances' SSH
    cut: true                   that network is dead: what is connected hangs, and so do new connections
    drop_ssh: true              all SSH connections are reset, once, now
    quotas: {L-DB2E81BA: 0}     so many vCPUs may run that count against this quota
    spot_notice: all            the metadata service announces the end of spot instances (`all`, an id or a
                                list of ids), and 120 s later they are terminated, as on AWS
    spot_seconds: 5             how long after the notice that is
    lag: 3                      what was made is not there yet for 3 s, as on AWS
    lag: {security-group: 3, key-pair: 3, instance-profile: 3, instance: 3, tags: 3}
                                the same by kind
    console_late: 20            the console shows nothing for 20 s after an instance's start
    node_lost: i-0123abcd       that instance dies at once, as when its hardware fails (an id or a list)
    partition: i-0123abcd       the network between the instances falls apart: those named (an id or a list)
                                and the rest don't reach each other; with `all`, none reaches another
    disk_full_mb: 20            the home is a disk of 20 MB (boots from now on; stopping loses what it holds)
"""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ec2tasks.base.errors import UsageError

EXAMPLES: dict[str, str] = {
    "capacity": "capacity: [g5.xlarge, g6.xlarge@eu-central-1a]",
    "capacity_lost": "capacity_lost: [g5.xlarge@eu-central-1a]",
    "throttle": "throttle: 3",
    "errors": "errors: {RunInstances: VcpuLimitExceeded}",
    "boot_seconds": "boot_seconds: 5",
    "latency_ms": "latency_ms: 50",
    "cut": "cut: true",
    "drop_ssh": "drop_ssh: true",
    "quotas": "quotas: {L-DB2E81BA: 0}",
    "spot_notice": "spot_notice: all",
    "spot_seconds": "spot_seconds: 5",
    "lag": "lag: 3",
    "console_late": "console_late: 20",
    "node_lost": "node_lost: i-0123abcd",
    "partition": "partition: i-0123abcd",
    "disk_full_mb": "disk_full_mb: 20",
}
ERROR_KEYS = ("code", "status", "times", "after", "message")
LAGGING = ("security-group", "key-pair", "instance-profile", "instance", "tags")
ANY = "*"


@dataclass(frozen=True, kw_only=True)
class ErrorFault:
    """An error in place of an answer. `times` is None for always."""

    code: str
    status: int = 400
    times: int | None = None
    after: bool = False
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong now; the default is nothing."""

    capacity: tuple[str, ...] = ()
    capacity_lost: tuple[str, ...] = ()
    throttle: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, ErrorFault] = field(default_factory=dict)
    boot_seconds: float = 0
    latency_ms: float = 0
    cut: bool = False
    drop_ssh: bool = False
    quotas: Mapping[str, float] = field(default_factory=dict)
    spot_notice: tuple[str, ...] = ()
    spot_seconds: float = 120
    lag: Mapping[str, float] = field(default_factory=dict)
    console_late: float = 0
    node_lost: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    disk_full_mb: int | None = None

    def lacks_capacity(self, instance_type: str, zone: str) -> bool:
        """Whether a launch of this type in this zone is refused."""
        return instance_type in self.capacity or f"{instance_type}@{zone}" in self.capacity

    def takes_back(self, instance_type: str, zone: str) -> bool:
        """Whether a launch of this type in this zone is granted and taken back."""
        return instance_type in self.capacity_lost or f"{instance_type}@{zone}" in self.capacity_lost

    def announces(self, instance_id: str) -> bool:
        """Whether this spot instance is told that it will be interrupted."""
        return "all" in self.spot_notice or instance_id in self.spot_notice

    def loses(self, instance_id: str) -> bool:
        """Whether this instance's hardware fails."""
        return instance_id in self.node_lost

    def side_of(self, instance_id: str) -> str:
        """The part that this instance is in, of a network that fell apart: those in one reach each other."""
        if "all" in self.partition:
            return instance_id
        return "apart" if instance_id in self.partition else ""


NONE = Faults()


def _wrong(name: str, value: object) -> UsageError:
    return UsageError(f"the fault `{name}` can't be `{value}`", hint=f"for example: {EXAMPLES[name]}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _wrong(name, value)
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value)
    return value


def _words(name: str, value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise _wrong(name, value)
    return tuple(words)


def _throttle(value: Any) -> dict[str, int]:
    by_action = value if isinstance(value, Mapping) else {ANY: value}
    return {str(action): int(_number("throttle", count)) for action, count in by_action.items()}


def _lag(value: Any) -> dict[str, float]:
    by_kind = value if isinstance(value, Mapping) else dict.fromkeys(LAGGING, value)
    if not set(by_kind) <= set(LAGGING):
        raise _wrong("lag", value)
    return {str(kind): _number("lag", seconds) for kind, seconds in by_kind.items()}


def _quotas(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise _wrong("quotas", value)
    return {str(code): _number("quotas", limit) for code, limit in value.items()}


def _error(value: Any) -> ErrorFault:
    if isinstance(value, str):
        return ErrorFault(code=value)
    if not isinstance(value, Mapping) or "code" not in value or not set(value) <= set(ERROR_KEYS):
        raise _wrong("errors", value)
    return ErrorFault(**{str(key): entry for key, entry in value.items()})


def _errors(value: Any) -> dict[str, ErrorFault]:
    if not isinstance(value, Mapping):
        raise _wrong("errors", value)
    return {str(action): _error(entry) for action, entry in value.items()}


WORDS = ("capacity", "capacity_lost", "spot_notice", "node_lost", "partition")
_PARSERS: dict[str, Callable[[Any], Any]] = {
    **{name: partial(_words, name) for name in WORDS},
    **{name: partial(_flag, name) for name in ("cut", "drop_ssh")},
    "throttle": _throttle,
    "errors": _errors,
    "quotas": _quotas,
    "lag": _lag,
}


def parse(values: Mapping[str, Any] | None) -> Faults:
    """Parse faults by name. Raises UsageError for a name that is none or a value that can't be."""
    given = {name: value for name, value in (values or {}).items() if value is not None}
    for name in given:
        if name not in EXAMPLES:
            near = difflib.get_close_matches(str(name), EXAMPLES, n=1)
            hint = (
                f"did you mean `{near[0]}`? {EXAMPLES[near[0]]}"
                if near
                else f"there are: {', '.join(EXAMPLES)}"
            )
            raise UsageError(f"there is no fault named `{name}`", hint=hint)
    parsed = {name: _PARSERS.get(name, partial(_number, name))(value) for name, value in given.items()}
    if "disk_full_mb" in parsed:
        parsed["disk_full_mb"] = int(parsed["disk_full_mb"]) or None
    return Faults(**parsed)


class FaultFile:
    """The faults in the state folder, read again whenever the file has changed.

    What counts down (`throttle`, `times`, `drop_ssh`) starts anew with each change of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._faults = NONE
        self._left: dict[tuple[str, str], int] = {}

    def current(self) -> Faults:
        """The faults now. A file that can't be read asks for none."""
        try:
            stat = self._path.stat()
        except OSError:
            return NONE
        stamp = (stat.st_mtime_ns, stat.st_ino)
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                self._load()
            return self._faults

    def _load(self) -> None:
        try:
            self._faults = parse(json.loads(self._path.read_text()))
        except (OSError, ValueError, UsageError):
            self._faults = NONE
        self._left = {("throttle", action): count for action, count in self._faults.throttle.items()}
        for action, error in self._faults.errors.items():
            if error.times is not None:
                self._left["errors", action] = error.times
        if self._faults.drop_ssh:
            self._left["drop_ssh", ANY] = 1

    def _take(self, kind: str, action: str) -> bool:
        with self._lock:
            left = self._left.get((kind, action), 0)
            self._left[kind, action] = max(0, left - 1)
            return left > 0

    def throttles(self, action: str) -> bool:
        """Whether this call is one of those to be throttled; it counts."""
        self.current()
        return self._take("throttle", action) or self._take("throttle", ANY)

    def error_for(self, action: str) -> ErrorFault | None:
        """The error that this call gets; it counts."""
        error = self.current().errors.get(action)
        if error is None or error.times is None:
            return error
        return error if self._take("errors", action) else None

    def drops_ssh(self) -> bool:
        """Whether connections are to be reset now: true once."""
        self.current()
        return self._take("drop_ssh", ANY)
