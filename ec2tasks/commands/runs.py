"""What `ec2tasks runs` lists, from the project's ledger; no instance and no AWS is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.config.parsers import duration
from ec2tasks.records.ledger import LEDGER
from ec2tasks.records.reading import Ledger, read
from ec2tasks.records.run import Run

COMMAND_LIMIT = 60  # characters of a command in the table


def read_ledger(root: Path) -> Ledger:
    """The project's ledger; what of it can't be read is said. Raises Failure where none of it can."""
    found = read(root)
    if found.broken:
        many = f"{found.broken} lines" if found.broken > 1 else "a line"
        output.warning(f"{many} of .ec2tasks/{LEDGER} can't be read: skipped, and left there")
    return found


def pick_run(runs: Sequence[Run], prefix: str) -> Run:
    """The run whose job's id begins so, else the newest. Raises UsageError for none or several."""
    fitting = [run for run in runs if run.job.startswith(prefix)]
    if not fitting:
        what = f"no run `{prefix}` of this project" if prefix else "nothing has run for this project yet"
        raise UsageError(what, hint="`ec2tasks runs` lists them")
    if prefix and len(fitting) > 1:
        ids = ", ".join(run.job for run in fitting[:3])
        raise UsageError(f"`{prefix}` is the beginning of {len(fitting)} runs: {ids}", hint="give more of it")
    return fitting[0]


def table_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Runs as a table, its heading first."""
    heading = ("JOB", "BEGAN", "STATE", "CODE", "TYPE", "RAN", "COST", "COMMIT", "COMMAND")
    return [heading, *(_row(run) for run in runs)]


def _row(run: Run) -> tuple[str, ...]:
    command = run.title if len(run.title) <= COMMAND_LIMIT else f"{run.title[: COMMAND_LIMIT - 1]}…"
    return (
        run.job,
        f"{run.began.astimezone():%Y-%m-%d %H:%M:%S}",
        run.state,
        "-" if run.code is None else str(run.code),
        run.type or "-",
        "-" if run.seconds is None else duration(run.seconds),
        cost_text(run),
        commit_text(run),
        command,
    )


def cost_text(run: Run) -> str:
    """What a run cost in dollars; nothing for one on the local EC2."""
    if run.endpoint != "aws":
        return run.endpoint
    return "-" if run.cost is None else f"${run.cost:.2f}"


def commit_text(run: Run) -> str:
    """The commit, shortened; with a mark where not all was committed, or that is not known."""
    mark = {True: "", False: "+", None: "?"}[run.clean]
    return f"{run.commit[:9]}{mark}" if run.commit else "-"
