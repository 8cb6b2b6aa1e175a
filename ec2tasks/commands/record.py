"""Writes down what becomes of a run, whatever that is: in the ledger, and the end of what it printed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.aws.prices import cost
from ec2tasks.base.errors import FAILURE_CODE, INTERRUPTED_CODE, Failure
from ec2tasks.base.process import start_thread
from ec2tasks.base.project import Revision, revision
from ec2tasks.commands.come_back import NeverBegunError
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.outcome import InstanceGoneError, Outcome
from ec2tasks.lifecycle.timing import Timings
from ec2tasks.records import kept, ledger
from ec2tasks.records.kept import Tail
from ec2tasks.remote.job import JobStatus

GIT_PATIENCE = 2.0  # seconds that the end of a run waits for git to have told what is committed


@dataclass(kw_only=True, eq=False, repr=False)
class Standing:
    """What of the project is committed, asked of git beside all else: its answer may take a while."""

    root: Path
    found: Revision | None = None
    thread: threading.Thread | None = None

    def ask(self) -> None:
        """Ask it now, before anything of the project changes."""
        self.thread = start_thread(self._look)

    def _look(self) -> None:
        self.found = revision(self.root)

    def lines(self, patience: float) -> dict[str, object]:
        """What the ledger says of it, once it is known."""
        if self.thread:
            self.thread.join(patience)
        return {"commit": self.found.commit, "clean": self.found.clean} if self.found else {}


@dataclass(kw_only=True, eq=False, repr=False)
class Record:
    """What is written down of one run, by the call that began it or by one that came back to it.

    `fetches`: the results are to come here. `comes_back`: to a job of another call; `job` is what the
    instance told of that, `asked` what only the call that began it knows. `waits`: where AWS has no instance
    for it, it waits for another one. `tail` is the end of its output.
    """

    lease: Lease
    timings: Timings
    fetches: bool
    comes_back: bool = False
    waits: bool = False
    asked: Mapping[str, object] = field(default_factory=dict)
    job: JobStatus | None = None
    tail: Tail = field(default_factory=Tail)
    standing: Standing | None = None
    ended: datetime | None = None
    said_begun: bool = False

    @property
    def root(self) -> Path:
        """Whose ledger it is."""
        return self.lease.context.project.root

    @property
    def job_id(self) -> str:
        """Which job it is about."""
        return self.job.job_id if self.job else self.lease.operation.job_id

    def of(self, work: Callable[[], Outcome]) -> Outcome:
        """Do the work and write down how it ended; the outcome, or the error that it raised."""
        try:
            outcome = work()
        except NeverBegunError as never:
            self.never_began(never)
            raise
        except NoCapacityError as full:
            if not self.waits:
                self._write(**failure_values(full))
            raise
        except BaseException as error:
            # Of a job that a call only came back to, nothing but its instance's end is its own.
            if not self.comes_back or (self.job and isinstance(error, InstanceGoneError)):
                self._write(**failure_values(error))
            raise
        if self.job or not self.comes_back:
            self._write(**self._ended_values(outcome))
        return outcome

    def begin(self) -> None:
        """Ask git what is committed: the run changes files."""
        self.standing = Standing(root=self.root)
        self.standing.ask()

    def begun(self) -> None:
        """Write down, once, that the command has begun: a client that is killed has no later word."""
        if not self.said_begun:
            self.said_begun = True
            # Where it can't be, the line of its end says so.
            ledger.append(self.root, {**self._facts(patience=0.0), "state": "begun"}, says=False)

    def came_back_to(self, job: JobStatus) -> None:
        """Take down which job this call came back to."""
        self.job = job
        if job.ended is not None:
            self.ended = datetime.fromtimestamp(job.ended, tz=timezone.utc)

    def seen(self, outcome: Outcome) -> None:
        """Write down how the job ended that a call came back to, before anything else can fail."""
        if not outcome.left_running:
            self.ended = self.ended or datetime.now(timezone.utc)
            ledger.append(self.root, {**self._facts(patience=0.0), "state": "ended", "code": outcome.code})

    def never_began(self, never: NeverBegunError) -> None:
        """Write down that a client ended before its job began."""
        values = {"job": never.job_id, "state": "failed", "code": FAILURE_CODE, "error": never.what}
        ledger.append(self.root, values)

    def _ended_values(self, outcome: Outcome) -> dict[str, object]:
        if outcome.left_running:
            return {"state": "left"}
        released = outcome.released.value if outcome.released else None
        return {"state": "ended", "code": outcome.exit_code(fetches=self.fetches), "released": released}

    def _write(self, **values: object) -> None:
        left = values["state"] == "left"
        times = {} if left else self._times()
        facts, phases = self._facts(patience=GIT_PATIENCE), self._phases()
        if left:
            phases.pop("ran", None)  # it goes on
        use = self._use()
        ledger.append(self.root, {**facts, "phases": phases, "use": use, **times, **values})
        before = kept.kept(self.root, self.job_id, kept.OUTPUT) if self.job else b""
        kept.keep(self.root, self.job_id, kept.OUTPUT, self.tail.text(before) if self.tail.blocks else b"")
        if self.standing and self.standing.found:
            changes = os.fsencode(self.standing.found.changes)
            kept.keep(self.root, self.job_id, kept.CHANGES, changes)

    def _use(self) -> dict[str, object] | None:
        """What the job used of its machine, where samples of that came home."""
        samples = kept.samples(self.root, self.job_id)
        if not samples:
            return None
        from ec2tasks.records.use import summary_of, use_values  # a short run has none: not for all to import

        return use_values(summary_of(samples))

    def _facts(self, *, patience: float) -> dict[str, object]:
        """What is known of the run whatever becomes of it."""
        context, instance = self.lease.context, self.lease.acquired.instance
        facts: dict[str, object] = {
            "job": self.job_id,
            "began": self._began(),
            "endpoint": context.aws.endpoint.name,
            "region": context.aws.region,
            **self.asked,
            **({"command": self.job.command} if self.job else {}),
            **(self.standing.lines(patience) if self.standing else {}),
        }
        if instance:
            facts |= {name: getattr(instance, name) for name in ("type", "zone", "image", "spot")}
            facts |= {"instance": instance.id, "machine": instance.name}
            facts |= {name: getattr(self.lease.acquired, name) for name in ("launched", "started")}
        return facts

    def _began(self) -> datetime:
        if self.job is None:
            return self.lease.operation.began
        return datetime.fromtimestamp(self.job.started, tz=timezone.utc)

    def _phases(self) -> dict[str, float]:
        """How long each phase took; of a command that was come back to, as the instance tells it."""
        phases = dict(self.timings.seconds)
        if self.job is None:
            return phases
        ran = (self.ended or datetime.now(timezone.utc)) - self._began()
        phases.pop("found", None)
        return {**phases, "ran": max(0.0, ran.total_seconds())}

    def _times(self) -> dict[str, object]:
        """When the run ended, and its cost: of one come back to, from its beginning to its command's end."""
        now = datetime.now(timezone.utc)
        if self.lease.acquired.instance is None:
            return {"ended": now}
        if self.job is None:
            return {"ended": now, "cost": self.lease.cost()}
        ended = self.ended or now
        from ec2tasks.records.reading import read  # for who comes back alone

        known = next((run for run in read(self.root).runs if run.job == self.job_id), None)
        began = min(known.began, self._began()) if known else self._began()
        return {"ended": ended, "cost": cost(self.lease.instance.price, began, max(began, ended))}


def failure_values(error: BaseException) -> dict[str, str | int]:
    """How a run ended that this error ended, as the ledger says it."""
    if isinstance(error, KeyboardInterrupt):
        return {"state": "interrupted", "code": INTERRUPTED_CODE}
    what = error.what.splitlines()[0] if isinstance(error, Failure) and error.what else repr(error)
    code = error.exit_code if isinstance(error, Failure) else FAILURE_CODE
    return {"state": "failed", "code": code, "error": what[:500]}
