"""What `report` does: pick the runs, write their page, say where it is and what shows it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import find_project
from ec2tasks.commands import report as pages
from ec2tasks.commands import runs as run_commands

if TYPE_CHECKING:
    from ec2tasks.base.answers import ReportAnswer


def write_page(*, all_runs: bool, job: str, as_json: bool) -> None:
    """Write the page of that job, the newest if it is empty, or of all runs; print its path."""
    root = find_project(Path.cwd()).root
    if all_runs and job:
        raise UsageError("--all and a job contradict each other", hint="give one of them")
    runs = run_commands.read_ledger(root).runs
    shown = runs if all_runs else [run_commands.pick_run(runs, job)]
    path = pages.report_all(root, shown) if all_runs else pages.report_run(root, shown[0])
    if as_json:
        answer: ReportAnswer = {"file": str(path), "jobs": [run.job for run in shown]}
        output.json(answer)
    else:
        output.data(str(path))
        shows = f"`{opener()} {shlex.quote(str(path))}` shows it"
        output.hint(f"{shows}; read it before you send it: it holds commands, changes and output")


def opener() -> str:
    """The command that shows a file here."""
    return "open" if sys.platform == "darwin" else "xdg-open"
