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
from ec2tasks.remote.job_name import Named, pick, short_forms, short_title


def read_ledger(root: Path) -> Ledger:
    """The project's ledger; what of it can't be read is said. Raises Failure where none of it can."""
    found = read(root)
    if found.broken:
        many = f"{found.broken} lines" if found.broken > 1 else "a line"
        output.warning(f"{many} of .ec2tasks/{LEDGER} can't be read: skipped, and left there")
    return found


def pick_run(runs: Sequence[Run], wanted: str) -> Run:
    """The run of the job that is named so, else the newest. Raises UsageError for none or several."""
    if not runs:
        raise UsageError(
            "nothing has run for this project yet", hint='`ec2tasks run "COMMAND"` runs something'
        )
    if not wanted:
        return runs[0]
    job_id = pick(_named(runs), wanted, what="run", task="runs").job_id
    return next(run for run in runs if run.job == job_id)


def _named(runs: Sequence[Run]) -> list[Named]:
    return [Named(job_id=run.job, title=run.title) for run in runs]


def table_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Runs as a table, its heading first."""
    heading = ("JOB", "BEGAN", "STATE", "CODE", "TYPE", "RAN", "COST", "COMMIT", "COMMAND")
    names = short_forms(_named(runs))
    return [heading, *(_row(run, names[run.job]) for run in runs)]


def _row(run: Run, name: str) -> tuple[str, ...]:
    return (
        name,
        f"{run.began.astimezone():%Y-%m-%d %H:%M:%S}",
        run.state,
        "-" if run.code is None else str(run.code),
        run.type or "-",
        "-" if run.seconds is None else duration(run.seconds),
        cost_text(run),
        commit_text(run),
        short_title(run.title),
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
