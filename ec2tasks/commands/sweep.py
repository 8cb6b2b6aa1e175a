"""Runs the variants of a sweep, each a run of its own, a few at once on the machines of a pool."""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE, INTERRUPTED_CODE
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import DEVNULL, PIPE, exit_code, start_thread
from ec2tasks.base.signals import INTERRUPTS, handled
from ec2tasks.commands.make import SWEEP
from ec2tasks.commands.preflight import check_run
from ec2tasks.commands.sweep_result import Result, ends, left, rows, standing, summary
from ec2tasks.commands.untold import untold_machines
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.records.reading import read
from ec2tasks.records.run import Run
from ec2tasks.remote.job import new_job_id
from ec2tasks.remote.job_name import asked_at

if TYPE_CHECKING:
    import subprocess

LINE_LIMIT = 64 * 1024  # bytes of a line that are shown as one
LOOK = 1.0  # seconds between looks for machines that nobody waits for any more
MAKE_FAILED = 2  # as make itself says that a target failed


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What a sweep is asked to do: the variants that are due, how many of them at once.

    `run_argv` is the call that runs a variant, `down_argv` that which ends a machine; `keeps_going`: others
    are begun after one has failed; `again`: what repeats the sweep.
    """

    due: Sequence[str]
    machines: int
    keeps_going: bool
    again: str
    run_argv: Callable[[str], list[str]]
    down_argv: Callable[[str, FinalState], list[str]]


@dataclass(kw_only=True, eq=False)
class Child:
    """A call of ec2tasks that runs a variant, or ends a machine: its process, and what it printed last."""

    label: str
    process: subprocess.Popen[bytes]
    began: float
    last: str = ""


@dataclass(kw_only=True)
class Sweep:
    """A sweep as it goes: what is still to begin, what runs, how the others ended.

    `undecided`: it is to be looked at again which machines nobody waits for. `not_ended`: those that could
    not be; `left`: those that run on, and of which no run has told.
    """

    context: CallContext
    request: SweepRequest
    id: str = field(default_factory=new_job_id)
    pending: list[str] = field(default_factory=list)
    running: list[Child] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    ending: dict[str, Child] = field(default_factory=dict)
    ended: queue.Queue[Child] = field(default_factory=queue.Queue)
    were_ended: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    undecided: bool = True
    not_ended: list[str] = field(default_factory=list)
    signals: list[signal.Signals] = field(default_factory=list)

    def run(self) -> int:
        """Run all of it to its end; the exit code."""
        self.pending = list(self.request.due)
        with contextlib.ExitStack() as stack:
            for number in INTERRUPTS:
                stack.enter_context(handled((number,), partial(self._interrupt, number)))
            while self.pending or self.running:
                while self.pending and len(self.running) < self.request.machines and not self.signals:
                    self._begin(self.pending.pop(0))
                with contextlib.suppress(queue.Empty):
                    self._take(self.ended.get(timeout=LOOK))
                if self.signals:
                    self._begin_no_more()
                if not self.pending and self.undecided:
                    self._end_idle()
            self._end_idle()
            self._end_untold()
            while self.ending:
                self._take(self.ended.get())
        return self._tell()

    def _begin(self, variant: str) -> None:
        environ, before = {**os.environ, SWEEP: self.id}, len(self.signals)
        child = self._start(variant, self.request.run_argv(variant), environ)
        self.running.append(child)
        for number in self.signals[before:]:  # came while it was started
            child.process.send_signal(number)

    def _start(self, label: str, argv: Sequence[str], environ: dict[str, str]) -> Child:
        """Start a call whose lines are shown behind a label. Ctrl-C reaches it through us alone."""
        process = self.context.tools.start(
            argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environ, start_new_session=True
        )
        child = Child(label=label, process=process, began=time.monotonic())
        start_thread(self._follow, child)
        return child

    def _follow(self, child: Child) -> None:
        """Show what a call prints until its end, and tell of that."""
        with child.process:
            errors = start_thread(relay, child, child.process.stderr, True)
            relay(child, child.process.stdout, False)
            errors.join()
        self.ended.put(child)

    def _take(self, child: Child) -> None:
        """Take in that a call has ended."""
        code, self.undecided = exit_code(child.process.returncode), True
        if self.ending.get(child.label) is child:
            del self.ending[child.label]
            self.not_ended += [child.label] if code else []
            return
        self.running.remove(child)
        took = time.monotonic() - child.began
        self.results.append(Result(variant=child.label, code=code, seconds=took, last=child.last))
        if code and not self.request.keeps_going and self.pending and not self.signals:
            output.step(f"`{child.label}` failed: no other variant is begun; make -k goes on")
            self._begin_no_more()
        output.step(
            f"`{child.label}` {'ended' if not code else f'failed with {code}'} after {duration(took)}; "
            + standing(self.results, running=len(self.running), waiting=len(self.pending))
        )

    def _begin_no_more(self) -> None:
        """Begin none of those that are still to begin."""
        self.results += [Result(variant=variant) for variant in self.pending]
        self.pending.clear()

    def _interrupt(self, number: signal.Signals) -> None:
        """Hand a signal on to the runs, each of which does with it as it does alone."""
        self.signals.append(number)
        for child in list(self.running):
            if child.process.poll() is None:
                child.process.send_signal(number)

    def runs(self) -> list[Run]:
        """The runs of this sweep, as the ledger tells of them; the newest first."""
        return [run for run in read(self.context.project.root).runs if run.sweep == self.id]

    def _end_idle(self) -> None:
        """End the machines that no run is on or may still take, as a run of its own would have."""
        runs = self.runs()
        begun = {run.recipe: run for run in runs}
        if any(child.label not in begun for child in self.running):
            return  # it may yet take one of them
        self.undecided = False
        busy = {begun[child.label].machine for child in self.running}
        for machine, final_state in ends(runs, self.context.settings).items():
            if machine not in {*busy, *self.ending, *self.were_ended}:
                self._end(machine, final_state)

    def _end(self, machine: str, final_state: FinalState) -> None:
        self.were_ended.add(machine)
        argv = self.request.down_argv(machine, final_state)
        self.ending[machine] = self._start(machine, argv, dict(os.environ))

    def _end_untold(self) -> None:
        """End what was launched since this began by a run that left no word of it; other such is left."""
        runs, final_state, began = (
            self.runs(),
            FinalState(self.context.settings.final_state),
            asked_at(self.id),
        )
        told = {run.recipe for run in runs if run.machine}
        if all(result.code is None or result.variant in told for result in self.results):
            return
        names = {run.machine for run in runs}
        for instance in untold_machines(self.context, self.request.machines, names):
            if final_state is FinalState.LEAVE or not began or instance.launched < began:
                self.left.append(instance.name)
            else:
                self._end(instance.name, final_state)

    def _tell(self) -> int:
        """Say how it all went, and what to type next; the exit code."""
        runs = self.runs()
        self.results.sort(key=lambda result: self.request.due.index(result.variant))
        output.table(rows(self.results, runs))
        output.step(summary(self.results, runs))
        if machines := [*left(runs, self.context.settings), *self.left]:
            names = ", ".join(machines)
            output.hint(f"left running: {names}; `ec2tasks down --name {shlex.quote(machines[0])}` ends one")
        if self.not_ended:
            names = ", ".join(self.not_ended)
            output.warning(f"could not be ended as asked: {names}", hint="`ec2tasks ls` shows what they cost")
        failed = [result for result in self.results if result.code != 0]
        if failed:
            output.hint(f"`{self.request.again}` runs what is not up to date by then")
        if self.signals:
            return INTERRUPTED_CODE
        own = bool(self.not_ended) or any(result.code == FAILURE_CODE for result in failed)
        return FAILURE_CODE if own else MAKE_FAILED if failed else 0


def sweep(context: CallContext, request: SweepRequest) -> int:
    """Run each variant on a free machine, end the machines that this launched; the exit code.

    That is 0, 2 as make says it where a variant failed, 125 where ec2tasks did, 130 after Ctrl-C.
    """
    check_run(context, sync=True)
    return Sweep(context=context, request=request).run()


def relay(child: Child, pipe: IO[bytes] | None, is_error: bool) -> None:
    """Show the lines of a call behind its label; of a progress bar, what a terminal has in the end."""
    for text in _lines(pipe):
        if text.strip() and not is_error:
            child.last = text
        output.relayed(text, label=child.label, is_error=is_error)


def _lines(pipe: IO[bytes] | None) -> Iterator[str]:
    assert pipe
    for line in iter(partial(pipe.readline, LINE_LIMIT), b""):
        yield line.rstrip(b"\r\n").rpartition(b"\r")[2].decode(errors="replace")
