"""What a job uses of its machine: its samples, fetched, kept with its output, and told at its end."""

from __future__ import annotations

from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import make_own_folder
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import Outcome
from ec2tasks.lifecycle.pricing import remembered_rates
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.records.kept import tidy
from ec2tasks.remote.job_use import fetch_samples
from ec2tasks.usage.advice import Machine, advise
from ec2tasks.usage.line import use_line
from ec2tasks.usage.samples import read_samples, sample_lines
from ec2tasks.usage.summary import BLOCKS, Summary, summed_up

TOLD_FROM = 60.0  # seconds that a job must have run


@dataclass(kw_only=True)
class JobUse:
    """What the job of an operation used, as far as it has been fetched."""

    lease: Lease
    job_id: str = ""
    ran: float = 0.0
    summary: Summary | None = None

    def fetch(self, outcome: Outcome, *, ran: float) -> None:
        """Fetch the samples of a job that is over and ran for so many seconds; a short one is not asked.

        What can't be had is no error.
        """
        self.ran = ran
        if ran < TOLD_FROM or not outcome.job_over:
            return
        try:
            self.keep()
        except (Failure, OSError) as error:
            output.step(f"what the job used of its machine could not be fetched: {error}")

    def keep(self) -> None:
        """Fetch the samples as they are and keep them here. Raises Failure or OSError."""
        text = fetch_samples(self.lease.host, self.job_id, self.lease.context.tools)
        self.summary = summed_up(read_samples(text))
        if self.summary:
            keep_samples(self.lease.context.project.root, self.job_id, text)

    def say_end(self, outcome: Outcome, timings: Timings) -> None:
        """Say at an operation's end, unless its job goes on, what that used and how long each phase took."""
        if outcome.left_running:
            return
        cost = self.lease.cost()
        if self.summary and self.ran >= TOLD_FROM:
            curves = output.can_show(BLOCKS)
            output.step(use_line(self.summary, seconds=self.ran, cost=cost, curves=curves))
            prices = {name: rate.usd for name, rate in remembered_rates(self.lease.context).by_type.items()}
            machine = Machine(type=self.lease.instance.type, prices=prices)
            if said := advise(self.summary, machine, seconds=self.ran):
                output.hint(said)
        output.step(timings.line(cost))


def samples_path(root: Path, job_id: str) -> Path:
    """Where a job's samples are kept in its project, beside what is kept of its output."""
    return make_own_folder(root) / "logs" / f"{job_id}.samples"


def keep_samples(root: Path, job_id: str, text: str) -> None:
    """Keep a job's samples in its project. Raises Failure or OSError."""
    path = samples_path(root, job_id)
    path.parent.mkdir(exist_ok=True)
    tidy(path.parent, "*.samples")
    path.write_text(sample_lines(text), encoding="utf-8")
