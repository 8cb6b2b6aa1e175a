"""A job, which is one command on the instance: started, asked after, its output saved."""

from __future__ import annotations

import io
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timezone
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import MEBIBYTE, Limits, pump
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import PIPE, Tools
from ec2tasks.base.scripts import compact, remote_script
from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.remote.first_word import first_word, lacking_text
from ec2tasks.remote.protocol import (
    Message,
    read_code,
    read_job_id,
    read_message,
    read_moment,
    script_argv,
)
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.packages import install_missing

BROKEN = 255  # ssh's own exit code, and possibly the command's
MISSING = 127
ANSWERING = Limits(seconds=60.0)

SCRIPTS = {
    **{name: (name,) for name in ("runner.sh", "job.sh", "environment.sh", "sampler.sh")},
    "warner.sh": ("metadata.sh", "warner.sh"),
}
SAVED_MB, UNBOUNDED_MB = 2048, 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Job:
    """The request for a job: what to run and where; `command` None is an interactive login shell.

    `multi` is the multiplexer it runs in, or none; `final_state` what is to become of the instance after it;
    `terminal` gives it a terminal there, `fed` an input that a client hands on. `log_mb` bounds what is kept
    of its output, in MiB, 0 for no bound. `size` is the terminal's rows and columns, `term` its kind.
    `environment` is the one that it runs in. So many seconds before its instance ends, 0 for never, its
    programs get the signal `notice_signal`.
    """

    job_id: str
    command: str | None
    remote_dir: str
    below: str
    variables: Mapping[str, str]
    ports: tuple[str, ...]
    reverse_ports: tuple[str, ...]
    multi: str = "none"
    final_state: FinalState = FinalState.LEAVE
    terminal: bool = False
    fed: bool = False
    log_mb: int = 0
    size: tuple[int, int] = (24, 80)
    term: str = "xterm-256color"
    environment: EnvironmentRequest = field(default_factory=lambda: EnvironmentRequest(wanted="auto"))
    warn_before: int = 0
    notice_signal: str = "TERM"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """What the instance knows of a job; `code` is None while it goes on, and where it was lost.

    `lost`: it ended and nothing there saw how; `restarted`: the instance has restarted since. `started`,
    `ended`: seconds since 1970. `kept`: how many bytes each of its streams has. `command` is None for a
    shell.
    """

    job_id: str
    multi: str
    final_state: FinalState
    code: int | None
    lost: bool
    restarted: bool
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
        """The state as one word: running, ended or lost."""
        return "lost" if self.lost else "running" if self.code is None else "ended"


@dataclass(frozen=True, kw_only=True)
class UnbegunJob:
    """A job that a client wanted and that is not known to have begun.

    `final_state`: what was to become of the instance after it, if anything. `coming`: that client is still
    at it.
    """

    job_id: str
    final_state: FinalState | None
    coming: bool


def new_job_id(now: datetime | None = None) -> str:
    """A new job's id: ids sort by time, to the millisecond, and no two clients make the same."""
    moment = now or datetime.now(timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{moment.microsecond // 1000:03x}{secrets.token_hex(2)}"


def job_files(job: Job) -> dict[str, str]:
    """The files, by name, that the scripts of a job need on the instance, and those.

    Nothing of them shows in a process list. `job` is sourced by the scripts of any version that asks after
    it: its names stay.
    """
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(job.variables.items())]
    rows, columns = job.size
    program = first_word(job.command or "") or ""
    values = {
        "remote_dir": job.remote_dir,
        "below": job.below,
        "environment": job.environment.wanted,
        "built": job.environment.key,
        "conda_name": job.environment.conda_name,
        "multi": job.multi,
        "final": job.final_state.value,
        "terminal": "yes" if job.terminal else "",
        "input": "yes" if job.fed else "",
        "log_mb": str(job.log_mb),
        "rows": str(rows),
        "columns": str(columns),
        "term": job.term,
        "program": program,
        "lacking": lacking_text(program, bare=False),
        "lacking_bare": lacking_text(program, bare=True),
        "warn_before": str(job.warn_before),
        "notice_signal": job.notice_signal,
    }
    return {
        "variables": "".join(exports),
        "job": "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()),
        **({} if job.command is None else {"command": job.command}),
        **{name: compact("".join(map(remote_script, parts))) for name, parts in SCRIPTS.items()},
    }


def forwarded(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables to hand on, by name; one that is not set here is warned of, not an error."""
    for name in names:
        if name not in environ:
            output.warning(f"forward_env: `{name}` is not set here")
    return {name: environ[name] for name in names if name in environ}


def read_status(message: Message) -> JobStatus:
    """The job that an answer of `follow.sh state` or `follow.sh jobs` is about. Raises ProtocolError."""
    state = message.need("state", str)
    return JobStatus(
        job_id=message.need("id", read_job_id),
        multi=message.get("multi", str, "none"),
        final_state=message.get("final_state", FinalState, FinalState.LEAVE),
        code=message.need("code", read_code) if state == "ended" else None,
        lost=state == "lost",
        restarted=message.get("restarted", str, "") == "yes",
        terminal=message.get("terminal", str, "") == "yes",
        fed=message.get("input", str, "") == "yes",
        started=message.need("started", read_moment),
        ended=message.get("ended", read_moment, None),
        kept=(message.get("out", int, 0), message.get("err", int, 0)),
        command=message.get("command", str, None),
    )


def job_status(host: Host, tools: Tools, job_id: str = "") -> JobStatus | None:
    """How that job stands, else the one to come back to: the last that runs, or whose end nobody has seen.

    None for no such job. Raises Failure where the instance can't be asked.
    """
    return next(iter(_ask(host, tools, "state", job=job_id)[0]), None)


def job_to_come_back_to(host: Host, tools: Tools) -> tuple[JobStatus | None, UnbegunJob | None]:
    """The last job that runs, or whose end nobody has seen, else the last; and a later one that never began.

    Raises Failure where the instance can't be asked.
    """
    found, unbegun = _ask(host, tools, "state")
    return next(iter(found), None), unbegun


def list_jobs(host: Host, tools: Tools) -> list[JobStatus]:
    """The jobs that ran and run on the instance, the newest first. Raises Failure where it can't be asked."""
    return _ask(host, tools, "jobs")[0]


def _ask(
    host: Host, tools: Tools, verb: str, job: str | None = None
) -> tuple[list[JobStatus], UnbegunJob | None]:
    answer = tools.capture(script_argv(host, "follow.sh", verb, job=job), limits=ANSWERING).within_limits()
    if answer.returncode != 0:
        raise Failure(
            f"the instance does not tell what runs on it: {answer.stderr.decode(errors='replace').strip()}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    lines = answer.stdout.decode(errors="replace").splitlines()
    messages = [message for line in lines if (message := read_message(line, "job", "unbegun"))]
    unbegun = next((message for message in messages if message.verb == "unbegun"), None)
    found = [read_status(message) for message in messages if message.verb == "job"]
    return found, _read_unbegun(unbegun) if unbegun else None


def _read_unbegun(message: Message) -> UnbegunJob:
    return UnbegunJob(
        job_id=message.need("id", read_job_id),
        final_state=message.get("final_state", FinalState, FinalState.LEAVE),
        coming=message.get("coming", str, "") == "yes",
    )


def start(host: Host, job: Job, tools: Tools) -> None:
    """Start a job without following it; a multiplexer that is missing on the instance is installed.

    Raises Failure where it can't be started.
    """
    argv = script_argv(host, "follow.sh", "begin", job=job.job_id)
    answer = tools.capture(argv, limits=ANSWERING).within_limits()
    if answer.returncode == MISSING:
        install_missing(host, tools, (job.multi,))
        answer = tools.capture(argv, limits=ANSWERING).within_limits()
    if answer.returncode != 0:
        raise not_started(answer.stderr.decode(errors="replace"))


def not_started(reason: str) -> Failure:
    """The failure that says that a job could not be started."""
    return Failure(
        f"the command could not be started on the instance: {' '.join(reason.split()) or 'no reason given'}",
        hint="`ec2tasks shell` looks around there: a full disk, a taken port?",
    )


def release(host: Host, job_id: str, tools: Tools) -> None:
    """Let a job in a multiplexer begin although nobody looks at its terminal."""
    tools.capture(script_argv(host, "follow.sh", "release", job=job_id), limits=ANSWERING)


def save_output(host: Host, job_id: str, folder: Path, tools: Tools, *, log_mb: int) -> Path:
    """Copy a job's output into a folder here, as far as it is kept: JOB_ID.out, and JOB_ID.err beside it.

    Raises Failure where it can't be read or is far more than `log_mb`, OSError where it can't be written.
    """
    limits = saving_limits(log_mb)
    for stream in ("out", "err"):
        error = io.BytesIO()
        argv = script_argv(host, "follow.sh", "kept", job=job_id, stream=stream)
        with (
            (folder / f"{job_id}.{stream}").open("wb") as file,
            tools.start(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True) as reading,
        ):
            pump(reading, limits, on_out=file.write, on_err=error.write)
        if reading.returncode != 0:
            said = error.getvalue().decode(errors="replace").strip()
            raise Failure(f"the output of job {job_id} can't be read: {said}")
    return folder / f"{job_id}.out"


def saving_limits(log_mb: int) -> Limits:
    """How much of a job's output is saved here: what `log_mb` keeps there, 0 for all, may have been more."""
    return Limits(
        out=max(2 * log_mb, SAVED_MB if log_mb else UNBOUNDED_MB) * MEBIBYTE, seconds=86400.0, silence=60.0
    )


class LostJobError(Failure):
    """The command ended and nothing on the instance saw how; what it left is there."""


def exit_code(job: JobStatus) -> int:
    """The exit code of a job that is over. Raises LostJobError for one whose end nothing saw."""
    if job.code is None:
        lost = "in a restart of the instance" if job.restarted else "with the process that kept it there"
        raise LostJobError(
            f"job {job.job_id} was lost {lost}, its exit code is not known",
            hint="what it left is fetched like any result; the same command again begins with that",
        )
    return job.code
