"""The page about all runs of a project: their cost by day and by recipe, and a table that can be sorted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from ec2tasks.config.parsers import duration
from ec2tasks.records.drawing import bars
from ec2tasks.records.html import Html, facts, table, tag
from ec2tasks.records.run import Run
from ec2tasks.records.run_page import dollars

MOST_BARS = 60  # the newest days, the dearest recipes


def all_parts(project: str, runs: Sequence[Run]) -> list[Html]:
    """What stands on the page, from its top to its end; `runs` are the newest first."""
    paid = [run for run in runs if run.endpoint == "aws" and run.cost is not None]
    unpriced = sum(run.endpoint == "aws" and run.cost is None for run in runs)
    rehearsed = sum(run.endpoint != "aws" for run in runs)
    by_day = sorted(amounts(paid, day).items(), reverse=True)[:MOST_BARS]
    by_recipe = sorted(amounts(paid, recipe).items(), key=lambda item: -item[1])[:MOST_BARS]
    return [
        tag("h1", project),
        facts(
            [
                ("runs", str(len(runs))),
                ("cost in all", dollars(sum(run.cost or 0.0 for run in paid)) if paid else "nothing"),
                ("of unknown cost", str(unpriced) if unpriced else None),
                ("rehearsals, at no cost", str(rehearsed) if rehearsed else None),
            ]
        ),
        *([tag("h2", "Cost by day"), _bars(by_day, "day")] if by_day else []),
        *([tag("h2", "Cost by recipe"), _bars(by_recipe, "recipe")] if by_recipe else []),
        tag("h2", "Runs"),
        _table(runs),
    ]


def day(run: Run) -> str:
    """The day on which a run began, here."""
    return f"{run.began.astimezone():%Y-%m-%d}"


def recipe(run: Run) -> str:
    """The target of the Makefile that ran, else the command."""
    return run.recipe or run.title[:60]


def amounts(runs: Sequence[Run], key: Callable[[Run], str]) -> dict[str, float]:
    """What these runs cost, by what they have in common."""
    found: dict[str, float] = defaultdict(float)
    for run in runs:
        found[key(run)] += run.cost or 0.0
    return dict(found)


def _bars(rows: Sequence[tuple[str, float]], name: str) -> Html:
    return bars([(key, amount, dollars(amount) or "") for key, amount in rows], (name, "cost"), "share")


def _table(runs: Sequence[Run]) -> Html:
    heading = ("began", "recipe or command", "state", "code", "type", "ran", "cost", "commit", "job")
    return table(heading, [_row(run) for run in runs], class_="sorted")


def _row(run: Run) -> tuple[Html, ...]:
    commit = (
        f"{run.commit[:9]}{'' if run.clean else '+' if run.clean is False else '?'}" if run.commit else ""
    )
    cost = (dollars(run.cost) or "") if run.endpoint == "aws" else run.endpoint
    paid = run.cost if run.endpoint == "aws" else None
    return (
        tag("td", f"{run.began.astimezone():%Y-%m-%d %H:%M}", data_value=run.began.timestamp()),
        tag("td", recipe(run)),
        tag("td", run.state),
        _number("" if run.code is None else str(run.code), run.code),
        tag("td", run.type),
        _number("" if run.seconds is None else duration(run.seconds), run.seconds),
        _number(cost, paid),
        tag("td", tag("code", commit)),
        tag("td", tag("code", run.job)),
    )


def _number(words: str, value: float | None) -> Html:
    return tag("td", words, class_="number", data_value=-1 if value is None else value)
