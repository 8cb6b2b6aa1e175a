"""One command on the instance: in the project's folder and environment, on a terminal or through pipes."""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from ec2tasks import report
from ec2tasks.access import Host, ssh_argv
from ec2tasks.errors import INTERRUPTED_CODE, Failure
from ec2tasks.process import Tools, exit_code
from ec2tasks.session import remote_argv

BROKEN = 255  # ssh's own exit code, and possibly the command's


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run and where; `command` None is an interactive login shell."""

    run_id: str
    command: str | None
    remote_dir: str
    below: str
    env: str
    variables: Mapping[str, str]
    ports: tuple[str, ...]
    reverse_ports: tuple[str, ...]


def new_run_id(now: datetime | None = None) -> str:
    """A run's id: sorts by time, unique among clients."""
    moment = now or datetime.now(timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def job_files(job: Job) -> dict[str, str]:
    """What the run needs on the instance, as files: nothing of it shows in a process list."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(job.variables.items())]
    found = {"variables": "".join(lines)}
    return found if job.command is None else {**found, "command": job.command}


def forwarded(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables to hand on. A name that is not set here is said, not an error."""
    found = {name: environ[name] for name in names if name in environ}
    for name in names:
        if name not in found:
            report.warning(f"forward_env: `{name}` is not set here")
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
    """Whether the command gets a terminal: only where all of its input and output is one here."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def run(host: Host, job: Job, tools: Tools, *, pty: bool) -> int:
    """Run the command to its end; its exit code, 130 after Ctrl-C.

    Its output goes where ours goes, without passing through Python. Raises Failure where the connection
    broke before the end.
    """
    terminal = ["-t", "-t"] if pty else ["-T"]
    argv = remote_argv(
        host,
        "job.sh",
        job.run_id,
        job.remote_dir,
        job.below,
        job.env,
        options=[*forward_options(job), *terminal],
    )
    # Through pipes, Ctrl-C would end ssh and leave the command running: ssh gets a session of its own and
    # the signal goes there instead. On a terminal it is ssh that reads the key, in raw mode.
    with tools.start(argv, start_new_session=not pty) as ssh:
        interrupts = 0

        def on_interrupt(count: int) -> None:
            nonlocal interrupts
            interrupts = count
            signal_job(host, job, tools, "INT" if count == 1 else "TERM")

        code = exit_code(tools.wait_through_interrupts(ssh, on_interrupt))
    if code == BROKEN:
        code = _true_code(host, job, tools)
    return INTERRUPTED_CODE if interrupts else code


def signal_job(host: Host, job: Job, tools: Tools, name: str) -> None:
    """Send a signal to the command's whole process group on the instance."""
    script = f'kill -{name} -- "-$(ps -o pgid= -p "$(cat "$HOME/.ec2tasks/runs/$1/pid")" | tr -d " ")"'
    tools.capture(ssh_argv(host, "bash", "-c", script, "signal", job.run_id), timeout=10)


def _true_code(host: Host, job: Job, tools: Tools) -> int:
    """What the command ended with, where ssh's 255 may mean its own trouble."""
    said = tools.capture(
        ssh_argv(host, "bash", "-c", 'cat "$HOME/.ec2tasks/runs/$1/exit"', "exit", job.run_id), timeout=30
    )
    if said.returncode == 0 and said.stdout.strip().isdigit():
        return int(said.stdout)
    raise Failure(
        "the connection to the instance broke while the command ran",
        hint="`ec2tasks status` shows whether it still runs, `ec2tasks sync --pull` fetches what is there",
    )
