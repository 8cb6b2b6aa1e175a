"""The tasks that tell of all runs of the project, with no instance and no AWS: `runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke.context import Context

from ec2tasks.base import output
from ec2tasks.base.project import find_project
from ec2tasks.cli.options import JSON_OPTION
from ec2tasks.cli.task import ec2_task
from ec2tasks.commands import runs as run_commands
from ec2tasks.records.run import run_json


@ec2_task(JSON_OPTION)
def runs(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # no setting counts
    """List all runs of the project that began here: when, how they ended, what they cost, of which commit.

    From .ec2tasks/runs.jsonl alone: also with no instance and no way to AWS. `jobs` lists what one instance
    ran and runs, as long as it exists. A commit with `+` had changes that were not committed, one with `?`
    may have had.
    """
    found = run_commands.read_ledger(find_project(Path.cwd()).root)
    if given["json"]:
        output.json([run_json(run) for run in found.runs])
    elif found.runs:
        output.table(run_commands.table_rows(found.runs))
    else:
        output.step("nothing has run for this project yet")
        output.hint('`ec2tasks run "COMMAND"` runs something')
