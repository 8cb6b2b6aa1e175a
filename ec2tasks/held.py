"""A command that outlives its client, in tmux, screen or no terminal: started, attached to, followed."""

from __future__ import annotations

from dataclasses import dataclass

from ec2tasks.access import Host
from ec2tasks.errors import INTERRUPTED_CODE, Failure
from ec2tasks.job import BROKEN, Job, forward_options, signal_job
from ec2tasks.prepare import prepare
from ec2tasks.process import Tools, exit_code
from ec2tasks.session import remote_argv, remote_script

MISSING = 127
START_LIMIT = 60.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Held:
    """A command held on the instance; `code` is None while it runs, `lost` where the instance restarted."""

    run_id: str
    multi: str
    end: str
    code: int | None
    lost: bool


def held_files() -> dict[str, str]:
    """The scripts that a held command needs in its run's folder."""
    return {name: remote_script(name) for name in ("held.sh", "job.sh")}


def parse_state(line: str) -> Held | None:
    """What `held.sh state` says: `RUN_ID MULTI END CODE`, or nothing."""
    words = line.split()
    if len(words) != 4:
        return None
    run_id, multi, end, code = words
    known = int(code) if code.isdigit() else None
    return Held(run_id=run_id, multi=multi, end=end, code=known, lost=code == "lost")


def state(host: Host, tools: Tools, run_id: str = "") -> Held | None:
    """That held command, else the newest there, None for none. Raises Failure where it can't be asked."""
    said = tools.capture(remote_argv(host, "held.sh", "state", run_id), timeout=START_LIMIT)
    if said.returncode != 0:
        raise Failure(
            f"the instance does not tell what runs on it: {said.stderr.decode(errors='replace').strip()}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    return parse_state(said.stdout.decode())


def start(host: Host, job: Job, multi: str, end: str, tools: Tools) -> None:
    """Start the command; it waits for the first look at it. A missing multiplexer is installed, or named."""
    words = ("start", job.run_id, multi, end, job.remote_dir, job.below, job.env)
    argv = remote_argv(host, "held.sh", *words)
    said = tools.capture(argv, timeout=START_LIMIT)
    if said.returncode == MISSING:
        prepare(host, (multi,))
        said = tools.capture(argv, timeout=START_LIMIT)
    if said.returncode != 0:
        raise Failure(
            f"the command could not be started in {multi}: {said.stderr.decode(errors='replace').strip()}",
            hint="--multi none runs it without",
        )


def release(host: Host, run_id: str, tools: Tools) -> None:
    """Let a started command go on although nobody looks."""
    tools.capture(remote_argv(host, "held.sh", "release", run_id), timeout=START_LIMIT)


def look(host: Host, job: Job, tools: Tools, *, pty: bool) -> None:
    """Be at the command's terminal, or see what it prints, until it ends or the user detaches.

    Raises Failure where the connection broke; Ctrl-C through pipes reaches the command.
    """
    terminal = ("-t", "-t") if pty else ("-T",)
    verb = "attach" if pty else "follow"
    argv = remote_argv(host, "held.sh", verb, job.run_id, options=[*forward_options(job), *terminal])
    with tools.start(argv, start_new_session=not pty) as ssh:

        def on_interrupt(count: int) -> None:
            signal_job(host, job, tools, "INT" if count == 1 else "TERM")

        code = exit_code(tools.wait_through_interrupts(ssh, on_interrupt))
    if code == BROKEN:
        raise Failure("the connection broke; the command goes on", hint="`ec2tasks attach` comes back to it")


def result(held: Held) -> int:
    """The exit code of a command that has ended. Raises Failure for one that an instance's restart ended."""
    if held.lost:
        raise Failure(
            f"run {held.run_id} was ended by a restart of the instance, its exit code is not known",
            hint="`ec2tasks sync --pull` fetches what it left",
        )
    return INTERRUPTED_CODE if held.code is None else held.code
