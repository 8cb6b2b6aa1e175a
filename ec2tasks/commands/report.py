"""Writes `.ec2tasks/report.html`: one run, or all of the project's, from what is kept here alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ec2tasks import __version__
from ec2tasks.base.project_dir import make_own_folder
from ec2tasks.base.state import write_atomically
from ec2tasks.records import kept
from ec2tasks.records.all_page import all_parts
from ec2tasks.records.html import Html
from ec2tasks.records.page import page
from ec2tasks.records.run import Run
from ec2tasks.records.run_page import Details, run_parts
from ec2tasks.records.use import summary_of

REPORT = "report.html"


def report_run(root: Path, run: Run) -> Path:
    """Write the page about one run; its path. Raises Failure where it can't be written."""
    details = Details(
        output=kept.kept(root, run.job, kept.OUTPUT).decode(errors="replace"),
        changes=kept.kept(root, run.job, kept.CHANGES).decode(errors="replace"),
        use=summary_of(kept.samples(root, run.job)),
    )
    return _write(root, f"{run.title[:60]}, {run.began.astimezone():%Y-%m-%d %H:%M}", run_parts(run, details))


def report_all(root: Path, runs: Sequence[Run]) -> Path:
    """Write the page about all runs; its path. Raises Failure where it can't be written."""
    return _write(root, f"Runs of {root.name}", all_parts(root.name, runs))


def _write(root: Path, title: str, parts: Sequence[Html]) -> Path:
    path = make_own_folder(root) / REPORT
    write_atomically(path, page(title, *parts, version=__version__))
    return path
