"""What becomes of a path, by what each side did to it since both were last settled. Pure.

docs/sync.md holds the same as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ec2tasks.sync.entries import Entry, Pair, alike


class Outcome(Enum):
    """What is to be done about a path; the values are the words shown."""

    NOTHING = "nothing"
    PUSH = "push"
    PULL = "pull"
    DELETE = "delete there"
    CONFLICT = "keep both"
    KEEP = "keep here"
    AGREE = "agree"
    FORGET = "forget"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A path of which something is to be done, why, and what stood on both sides when that was decided."""

    path: str
    outcome: Outcome
    reason: str
    here: Entry | None
    there: Entry | None
    base: Pair


def decide(
    path: str,
    base: Pair,
    here: Entry | None,
    there: Entry | None,
    *,
    same_content: Callable[[str], bool] = lambda _path: False,
) -> Change:
    """The outcome for one path.

    `same_content` is asked only about two files of one size that were both changed: whether they hold the
    same all the same.
    """
    did_here, did_there = deed(base.here, here), deed(base.there, there)
    outcome = _outcome(path, did_here, did_there, here, there, same_content)
    reason = _reason(outcome, did_here, did_there)
    return Change(path=path, outcome=outcome, reason=reason, here=here, there=there, base=base)


def deed(before: Entry | None, now: Entry | None) -> str:
    """What one side did to a path: unchanged, created, deleted, changed, or retyped."""
    if before == now:
        return "unchanged"
    if before is None:
        return "created"
    if now is None:
        return "deleted"
    return "changed" if before.kind == now.kind else "retyped"


def _outcome(
    path: str,
    did_here: str,
    did_there: str,
    here: Entry | None,
    there: Entry | None,
    same_content: Callable[[str], bool],
) -> Outcome:
    if did_here == did_there == "unchanged":
        return Outcome.NOTHING
    if here is None and there is None:
        return Outcome.FORGET
    if here == there:
        return Outcome.AGREE
    if did_there == "unchanged":
        return Outcome.DELETE if here is None else Outcome.PUSH
    if did_here == "unchanged":
        return Outcome.KEEP if there is None else Outcome.PULL
    # Both did something, and not the same: a deletion gives way to whatever the other side made.
    if here is None:
        return Outcome.PULL
    if there is None:
        return Outcome.PUSH
    return _both_changed(path, here, there, same_content)


def _both_changed(path: str, here: Entry, there: Entry, same_content: Callable[[str], bool]) -> Outcome:
    if alike(here, there) or (could_be_same(here, there) and same_content(path)):
        return Outcome.AGREE if here.mode == there.mode else Outcome.PUSH
    return Outcome.CONFLICT


def could_be_same(here: Entry, there: Entry) -> bool:
    """Whether only a look into both files can tell if they differ."""
    return here.kind == there.kind == "f" and here.size == there.size and not alike(here, there)


def _reason(outcome: Outcome, did_here: str, did_there: str) -> str:
    if outcome is Outcome.CONFLICT:
        return f"{did_here} here and {did_there} there"
    if did_there == "unchanged":
        return f"{did_here} here"
    if did_here == "unchanged":
        return f"{did_there} there"
    return f"{did_here} here, {did_there} there"
