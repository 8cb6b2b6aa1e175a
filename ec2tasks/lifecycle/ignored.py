"""Says before a termination which files go with it as they never come here; asks where it is much."""

from __future__ import annotations

from dataclasses import replace

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.release_decision import Facts
from ec2tasks.sync.ignored import ignored_files

WORTH_ASKING = 100_000_000  # bytes
PATIENCE = 40.0  # seconds for an answer; the instance keeps others away for 60


def with_ignored_files(lease: Lease, facts: Facts) -> Facts:
    """The facts of a termination, with the ignored files that nobody has agreed to lose."""
    operation = lease.operation
    if not (lease.session and lease.used and operation.fetches):
        return facts
    asked = operation.final_state is FinalState.TERMINATE
    try:
        files = ignored_files(lease.context.project.root, lease.folder(), lease.context.tools)
    except Failure as error:
        output.warning(f"which ignored files are there could not be told: {error.what}")
        return facts if asked else replace(facts, ignored="what is there and ignored")
    if asked or files.size <= WORTH_ASKING:
        if files.count:
            output.step(f"with the instance go {files}, which never come here")
        return facts
    question = f"{files} never come here: terminate the instance, and lose them?"
    agreed = output.ask(question, patience=PATIENCE)
    return facts if agreed else replace(facts, ignored=str(files))
