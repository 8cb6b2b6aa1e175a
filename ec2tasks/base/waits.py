"""Remembers how long waits took on this machine, so that the next one tells what is usual."""

from __future__ import annotations

from collections.abc import Mapping

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.state import State, read_cached, write_cached

KEPT = 5  # of each kind
KINDS = 50  # the oldest go
FILE = "waits"
LONGEST = 86400.0  # seconds; anything else is no wait of ours
Waits = Mapping[str, list[float]]


def read_waits(values: Mapping[str, object] | None) -> dict[str, list[float]]:
    """The waits in seconds, by kind, as a file tells them; what is of another form is left out."""
    found: dict[str, list[float]] = {}
    for kind, value in (values or {}).items():
        known = [one for one in value if _is_seconds(one)] if isinstance(value, list) else []
        if known:
            found[kind] = [float(one) for one in known[-KEPT:]]
    return found


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LONGEST


def with_one_more(waits: Waits, kind: str, seconds: float) -> dict[str, list[float]]:
    """These waits with another of a kind: the last few of each, and the kinds that were waited for last."""
    others = {name: known for name, known in waits.items() if name != kind}
    mine = [*waits.get(kind, []), round(min(seconds, LONGEST), 1)][-KEPT:]
    return dict([*others.items(), (kind, mine)][-KINDS:])


def usual_seconds(waits: Waits, kind: str) -> float | None:
    """How long a wait of this kind usually takes: the median of the last ones; None for the first."""
    known = sorted(waits.get(kind, []))
    return known[len(known) // 2] if known else None


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What this machine knows of waits of one kind, as `SSH eu-central-1 g5.xlarge`."""

    state: State
    kind: str

    def words(self) -> str:
        """How long such a wait usually takes, as a part of a line; nothing where that is not known."""
        seconds = usual_seconds(read_waits(read_cached(self.state, FILE)), self.kind)
        return "" if seconds is None else f" (usually {seconds:.0f} s)"

    def add(self, seconds: float) -> None:
        """Take down how long one has taken; where it can't be kept, the next one is the first."""
        known = read_waits(read_cached(self.state, FILE))
        write_cached(self.state, FILE, with_one_more(known, self.kind, seconds))
