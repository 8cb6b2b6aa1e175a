"""One command of the instance's own: what it needs there, how it is asked after, signalled and told of."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import PIPE, Tools
from ec2tasks.base.scripts import remote_script
from ec2tasks.remote.session import remote_argv
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.packages import install_missing

BROKEN = 255  # ssh's own exit code, and possibly the command's
MISSING = 127
ANSWER_LIMIT = 60.0  # seconds
SIGNAL_LIMIT = 20.0  # seconds; a command that is being started is waited for there
LINE_WORDS = 11


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run and where; `command` None is an interactive login shell.

    `multi` is the multiplexer it runs in, or none; `final_state` the end of life to apply after it;
    `terminal` gives it a terminal there, `fed` an input that a client hands on. `log_mb` bounds what is kept
    of its output, in MiB, 0 for no bound. `size` is the terminal's rows and columns, `term` its kind.
    """

    job_id: str
    command: str | None
    remote_dir: str
    below: str
    env: str
    variables: Mapping[str, str]
    ports: tuple[str, ...]
    reverse_ports: tuple[str, ...]
    multi: str = "none"
    final_state: str = "leave"
    terminal: bool = False
    fed: bool = False
    log_mb: int = 0
    size: tuple[int, int] = (24, 80)
    term: str = "xterm-256color"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A run as the instance knows it; `code` is None while it goes on, and where it was lost.

    `lost`: the instance restarted under it. `started`, `ended`: seconds since 1970. `kept`: how many bytes
    each of its streams has. `command` is None for a shell.
    """

    job_id: str
    multi: str
    final_state: str
    code: int | None
    lost: bool
    terminal: bool
    fed: bool
    started: int
    ended: int | None
    kept: tuple[int, int]
    command: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.lost or self.code is not None

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return "lost" if self.lost else "running" if self.code is None else "ended"


def new_job_id(now: datetime | None = None) -> str:
    """A run's id: sorts by time, unique among clients."""
    moment = now or datetime.now(timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def job_files(job: Job) -> dict[str, str]:
    """What the run needs on the instance, as files: nothing of it shows in a process list."""
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(job.variables.items())]
    rows, columns = job.size
    told = {
        "remote_dir": job.remote_dir,
        "below": job.below,
        "environment": job.env,
        "multi": job.multi,
        "final": job.final_state,
        "terminal": "yes" if job.terminal else "",
        "input": "yes" if job.fed else "",
        "log_mb": str(job.log_mb),
        "rows": str(rows),
        "columns": str(columns),
        "term": job.term,
    }
    return {
        "variables": "".join(exports),
        "job": "".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()),
        **({} if job.command is None else {"command": job.command}),
        **{name: remote_script(name) for name in ("runner.sh", "job.sh")},
    }


def forwarded(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables to hand on. A name that is not set here is said, not an error."""
    found = {name: environ[name] for name in names if name in environ}
    for name in names:
        if name not in found:
            output.warning(f"forward_env: `{name}` is not set here")
    return found


def forward_options(job: Job) -> list[str]:
    """Ssh's options for the ports of a run (ssh(1), -L and -R).

    Such a run has a connection of its own: asked for through the kept control connection, its ports would
    stay open after it.
    """
    here = [word for one in job.ports for word in ("-L", one)]
    there = [word for one in job.reverse_ports for word in ("-R", one)]
    words = [*here, *there]
    return ["-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes", *words] if words else []


def on_terminal() -> bool:
    """Whether the command gets a terminal: where all of its input and output is one here, and it is ours now.

    A shell's background job that takes the terminal is stopped.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return True  # not this session's own terminal: no shell moves jobs to its background


def shares_terminal(environ: Mapping[str, str]) -> bool:
    """Whether other recipes of a parallel make may be at the same terminal: its keys are for all of them."""
    return "--jobserver" in environ.get("MAKEFLAGS", "")


def parse_status(line: str) -> JobStatus | None:
    """A line of `follow.sh state` or `follow.sh jobs`; None for anything else."""
    words = line.split()
    if len(words) != LINE_WORDS:
        return None
    job_id, multi, end, code, terminal, fed, started, ended, out, err, command = words
    try:
        return JobStatus(
            job_id=job_id,
            multi=multi,
            final_state=end,
            code=None if code in ("-", "lost") else int(code),
            lost=code == "lost",
            terminal=terminal == "yes",
            fed=fed == "yes",
            started=int(started),
            ended=None if ended == "-" else int(ended),
            kept=(int(out), int(err)),
            command=None
            if command == "-"
            else base64.b64decode(command, validate=True).decode(errors="replace"),
        )
    except (ValueError, binascii.Error):
        return None


def look(host: Host, tools: Tools, job_id: str = "") -> JobStatus | None:
    """That run, else the one to come back to, None for none. Raises Failure where it can't be asked."""
    return next(iter(_ask(host, tools, "state", job_id)), None)


def list_jobs(host: Host, tools: Tools) -> list[JobStatus]:
    """What ran and runs on the instance, the newest first. Raises Failure where it can't be asked."""
    return _ask(host, tools, "jobs")


def _ask(host: Host, tools: Tools, *words: str) -> list[JobStatus]:
    said = tools.capture(remote_argv(host, "follow.sh", *words), timeout=ANSWER_LIMIT)
    if said.returncode != 0:
        raise Failure(
            f"the instance does not tell what runs on it: {said.stderr.decode(errors='replace').strip()}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    found = (parse_status(line) for line in said.stdout.decode(errors="replace").splitlines())
    return [one for one in found if one]


def start(host: Host, job: Job, tools: Tools) -> None:
    """Start the command, and do not look. A missing multiplexer is installed, or named."""
    argv = remote_argv(host, "follow.sh", "begin", job.job_id)
    said = tools.capture(argv, timeout=ANSWER_LIMIT)
    if said.returncode == MISSING:
        install_missing(host, (job.multi,))
        said = tools.capture(argv, timeout=ANSWER_LIMIT)
    if said.returncode != 0:
        raise not_started(said.stderr.decode(errors="replace"))


def not_started(said: str) -> Failure:
    """The instance did not take the command."""
    return Failure(
        f"the command could not be started on the instance: {' '.join(said.split()) or 'no reason given'}",
        hint="`ec2tasks shell` looks around there: a full disk, a taken port?",
    )


def release(host: Host, job_id: str, tools: Tools) -> None:
    """Let a command in a multiplexer go on although nobody looks."""
    tools.capture(remote_argv(host, "follow.sh", "release", job_id), timeout=ANSWER_LIMIT)


def send_signal(host: Host, job_id: str, name: str, tools: Tools) -> bool:
    """Send a signal to all that runs in the foreground of the run; whether it arrived."""
    argv = remote_argv(host, "follow.sh", "signal", job_id, name)
    return tools.capture(argv, timeout=SIGNAL_LIMIT).returncode == 0


def save_output(host: Host, job_id: str, folder: Path, tools: Tools) -> Path:
    """Copy what a run printed into a folder here, as far as it is kept: RUN_ID.out, and RUN_ID.err beside it.

    Raises Failure where it can't be read, OSError where it can't be written.
    """
    for stream in ("out", "err"):
        with (folder / f"{job_id}.{stream}").open("wb") as file:
            argv = remote_argv(host, "follow.sh", "kept", job_id, stream)
            with tools.start(argv, stdin=PIPE, stdout=file, stderr=PIPE) as reading:
                said = reading.communicate()[1].decode(errors="replace")
        if reading.returncode != 0:
            raise Failure(f"the output of run {job_id} can't be read: {said.strip()}")
    return folder / f"{job_id}.out"


class LostJobError(Failure):
    """A restart of the instance ended the command; what it left is there."""


def result(run: JobStatus) -> int:
    """The exit code of a run that is over. Raises LostRunError for one that an instance's restart ended."""
    if run.code is None:
        raise LostJobError(
            f"run {run.job_id} was lost in a restart of the instance, its exit code is not known",
            hint="what it left is fetched like any result; the same command again begins with that",
        )
    return run.code
