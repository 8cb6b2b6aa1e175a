"""Shows what a job uses of its machine: now, as it comes, or as it was kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import TooMuchError
from ec2tasks.base.project_dir import make_own_folder
from ec2tasks.base.retry import ticks
from ec2tasks.commands.history import all_jobs, pick_job
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.records import kept
from ec2tasks.remote.job import JobStatus, job_status
from ec2tasks.remote.job_name import Named, pick, short_title, title_of
from ec2tasks.remote.job_use import fetch_samples
from ec2tasks.remote.protocol import JOB_ID, ProtocolError
from ec2tasks.ssh.connect import close_master
from ec2tasks.usage.line import use_line
from ec2tasks.usage.samples import Sample, read_samples
from ec2tasks.usage.summary import BLOCKS, summed_up
from ec2tasks.usage.table import summary_json, table_rows

EVERY = 10.0  # seconds between looks: there are no samples in between
NEWEST = 60  # lines that are asked for again
NONE_YET = "no samples yet: the first comes about 15 s after a command's start"


def show_use(context: CallContext, wanted: str, *, follow: bool, as_json: bool) -> None:
    """Show what a job uses, the newest if none is named; with `follow`, again and again until it ends.

    Of an instance that runs no longer, what was kept here. Raises Failure or UsageError for no such job.
    """
    try:
        job = pick_job(all_jobs(context), wanted)
    except (ProtocolError, TooMuchError):
        raise
    except Failure:
        known = kept_job(context, wanted)
        if not known:
            raise
        output.step(f"job {known}, as it was kept here")
        content = kept.samples(context.project.root, known).decode("ascii", errors="replace")
        return _show(known, read_samples(content), as_json=as_json)
    if follow:
        return _follow(context, job, as_json=as_json)
    output.step(f"job {job.job_id} (`{short_title(title_of(job.command))}`): {job.state}")
    return _show(job.job_id, _samples(context, job.job_id), as_json=as_json)


def kept_job(context: CallContext, wanted: str) -> str:
    """The job that is named so, else the newest, of those whose samples are kept here; empty for none.

    Raises UsageError where several are, or none of those that are kept.
    """
    folder = make_own_folder(context.project.root) / "logs"
    names = [path.stem for path in folder.glob("*.samples")] if folder.is_dir() else []
    known = sorted((name for name in names if JOB_ID.fullmatch(name)), reverse=True)
    if not known or not wanted:
        return next(iter(known), "")
    return pick([Named(job_id=name) for name in known], wanted).job_id


def _show(job_id: str, samples: Sequence[Sample], *, as_json: bool) -> None:
    summary = summed_up(samples)
    if as_json:
        output.json({"job": job_id, "use": summary_json(summary) if summary else None})
    elif summary:
        output.table(table_rows(summary, curves=output.shows_curves(BLOCKS)))
    else:
        output.step(NONE_YET)


def _samples(context: CallContext, job_id: str, *, lines: int | None = None) -> tuple[Sample, ...]:
    return read_samples(fetch_samples(connect_running(context), job_id, context.tools, lines=lines))


@dataclass(kw_only=True)
class _Look:
    """A look at a job that goes on: the samples so far, each once."""

    context: CallContext
    job_id: str
    samples: tuple[Sample, ...] = ()

    def again(self) -> tuple[tuple[Sample, ...], bool]:
        """The samples that are new, and whether the job is over. Raises Failure where nothing answers."""
        host = connect_running(self.context)
        try:
            status = job_status(host, self.context.tools, self.job_id)
            found = _samples(self.context, self.job_id, lines=NEWEST if self.samples else None)
        except (ProtocolError, TooMuchError):
            raise
        except Failure:
            # A kept connection that a change of network killed still looked alive.
            close_master(host, self.context.tools)
            return (), False
        last = self.samples[-1].time if self.samples else -1.0
        new = tuple(sample for sample in found if sample.time > last)
        self.samples += new
        return new, status is None or status.over


def _follow(context: CallContext, job: JobStatus, *, as_json: bool) -> None:
    look = _Look(context=context, job_id=job.job_id)
    if as_json or not output.shows_curves(BLOCKS):
        for new in _looks(look):
            for sample in new:
                output.data(json.dumps(asdict(sample)) if as_json else _line(sample))
        return
    with output.redrawn() as draw:
        for _ in _looks(look):
            summary = summed_up(look.samples)
            draw(table_rows(summary, curves=True) if summary else [(NONE_YET,)])


def _looks(look: _Look) -> Iterator[tuple[Sample, ...]]:
    for _ in ticks(every=EVERY):
        new, over = look.again()
        yield new
        if over:
            return


def _line(sample: Sample) -> str:
    summary = summed_up([sample])
    assert summary
    return use_line(summary, seconds=sample.time, cost=None, curves=False)
