"""How a sweep went: its table, its sums, and what becomes of its machines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ec2tasks.base.final_state import FinalState
from ec2tasks.commands.runs import cost_text
from ec2tasks.config.parsers import duration
from ec2tasks.config.settings import Settings
from ec2tasks.records.run import Run

LAST_LIMIT = 60  # characters of a last line in the table


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a variant ended: its exit code, None where it was not begun; the last line that it printed."""

    variant: str
    code: int | None = None
    seconds: float = 0.0
    last: str = ""


def ends(runs: Iterable[Run], settings: Settings) -> dict[str, FinalState]:
    """What is to become of each machine that these runs were on; none is left out but those to be left.

    As of a run: an end that nobody asked for is for what was launched, and what was stopped is so again.
    """
    asked = FinalState(settings.final_state)
    found: dict[str, FinalState] = {}
    for run in sorted(runs, key=lambda run: run.began):
        if run.machine and (settings.given("final_state") or run.launched):
            found[run.machine] = asked
        elif run.machine and run.started:
            found.setdefault(run.machine, FinalState.STOP)
    return {machine: state for machine, state in found.items() if state is not FinalState.LEAVE}


def left(runs: Sequence[Run], settings: Settings) -> list[str]:
    """The machines that these runs were on and that nobody ends after them."""
    ended = ends(runs, settings)
    return sorted({run.machine for run in runs if run.machine and run.machine not in ended})


def standing(results: Sequence[Result], *, running: int, waiting: int) -> str:
    """How far a sweep is, in words."""
    over = [result for result in results if result.code is not None]
    failed = sum(1 for result in over if result.code)
    words = [f"{len(over)} of {len(results) + running + waiting} are over"]
    words += [f"{failed} of them failed"] if failed else []
    words += [f"{running} run"] if running else []
    words += [f"{waiting} wait"] if waiting else []
    return ", ".join(words)


def rows(results: Sequence[Result], runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The variants as a table, its heading first; `runs` are theirs, the newest first."""
    by_variant = {run.recipe: run for run in reversed(runs)}
    heading = ("VARIANT", "MACHINE", "TOOK", "COST", "CODE", "LAST LINE")
    return [heading, *(_row(result, by_variant.get(result.variant)) for result in results)]


def _row(result: Result, run: Run | None) -> tuple[str, ...]:
    last = result.last if len(result.last) <= LAST_LIMIT else f"{result.last[: LAST_LIMIT - 1]}…"
    begun = result.code is not None
    return (
        result.variant,
        run.machine or "-" if run else "-",
        duration(result.seconds) if begun else "-",
        cost_text(run) if run else "-",
        str(result.code) if begun else "not begun",
        last,
    )


def summary(results: Sequence[Result], runs: Sequence[Run]) -> str:
    """A sweep in one line: how many variants, on how many machines, at what cost."""
    failed = sum(1 for result in results if result.code)
    not_begun = sum(1 for result in results if result.code is None)
    machines = len({run.machine for run in runs if run.machine})
    costs = [run.cost for run in runs if run.cost is not None and run.endpoint == "aws"]
    words = [f"{len(results) - failed - not_begun} of {len(results)} variants made"]
    words += [f"{failed} failed"] if failed else []
    words += [f"{not_begun} not begun"] if not_begun else []
    words += [f"on {machines} machine{'s' if machines > 1 else ''}"] if machines else []
    words += [f"cost ≈ ${sum(costs):.2f}"] if costs else []
    return ", ".join(words)
