"""The tasks that tell of all runs of the project, with no instance and no AWS: `runs`, `report`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import JOB_OPTION, JSON_OPTION, Option
from ec2tasks.cli.task import ec2_task


@ec2_task(JSON_OPTION)
def runs(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # no setting counts
    """List all runs of the project that began here: when, how they ended, what they cost, of which commit.

    From .ec2tasks/runs.jsonl alone: also with no instance and no way to AWS. `jobs` lists what one instance
    ran and runs, as long as it exists. A commit with `+` had changes that were not committed, one with `?`
    may have had.
    """
    from ec2tasks.base import output
    from ec2tasks.base.project import find_project
    from ec2tasks.commands import runs as run_commands
    from ec2tasks.records.run import run_json

    found = run_commands.read_ledger(find_project(Path.cwd()).root)
    if given["json"]:
        output.json([run_json(run) for run in found.runs])
    elif found.runs:
        output.table(run_commands.table_rows(found.runs), cuts=True)
    else:
        output.step("nothing has run for this project yet")
        output.hint('`ec2tasks run "COMMAND"` runs something')


@ec2_task(
    JOB_OPTION,
    Option(names=("all",), kind=bool, help="all runs of the project: costs by day and by recipe, a table"),
    JSON_OPTION,
)
def report(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # no setting counts
    """Write a page about a run, the newest if none is named, or about all: `report [JOB | --all]`.

    One file, .ec2tasks/report.html, that loads nothing: phases, use of the machine as curves, cost, commit,
    what was not committed, the end of the output. Prints its path. In `inv` the run is named by --job.
    """
    from ec2tasks.cli.pages import write_page

    write_page(all_runs=given["all"], job=given["job"] or "", as_json=given["json"])
