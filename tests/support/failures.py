"""What fails, for the rows of docs/reliability.md, and what becomes of a row."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ec2tasks.aws.instances import GONE
from support.failing_run import Lane, Play, contents
from support.project import CommandResult
from support.waiting import until

BIG = 4_000_000  # bytes of what is pushed and of what is pulled
RESULTS = {
    "first": b"first\n",
    "big": b"".join(b"%d\n" % n for n in range(1, 600_001)),
    "last": b"last\n",
}
# `first` and `big` before the failure of a run, `last` after it; `both` is changed on both sides.
JOB = (
    "mkdir -p out; echo first > out/first; seq 600000 > out/big || exit 7; echo theirs > both; echo here; "
    "{wait} echo last > out/last"
)
CATCHES = "trap 'echo caught' INT; "
WAIT = "until [ -e ~/go-on ]; do sleep 0.05; done;"
Deed = Callable[[Play], None]
EVERY_TYPE = ["g4dn.xlarge", "g6.xlarge", "g5.xlarge"]
CUT_SECONDS = 2.0
FULL_MB = 3  # there: with room for what is pushed and for what we keep, not for the results


# The command of these hears of it, or is lost: it is not let go on to its end.
ENDS_IT = ("Ctrl-C", "it restarts", "somebody stops it", "somebody terminates it")


def signalled(number: signal.Signals) -> Deed:
    return lambda play: play.running.signal(number)


def twice(play: Play) -> None:
    """Two at once would be one: the second comes once the command has caught the first."""
    play.running.signal(signal.SIGINT)
    until(lambda: play.running.prints("caught"), "the first Ctrl-C at the command")
    play.running.signal(signal.SIGINT)


def away(play: Play) -> None:
    play.lane.faults(cut=True)
    time.sleep(CUT_SECONDS)
    play.lane.faults()


def away_for_good(play: Play) -> None:
    play.lane.faults(cut=True)
    play.running.signal(signal.SIGINT)
    # The first one is on its way, and never arrives.
    until(lambda: play.running.over() or passes_on(play.running.process.pid), "the first Ctrl-C")
    play.running.signal(signal.SIGINT)


def passes_on(pid: int) -> bool:
    """Whether this client is about to send a signal to its command, by an ssh of its own."""
    argv = ["pgrep", "-P", str(pid), "-f", " signal .*name=INT"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def asked(action: str) -> Deed:
    """What somebody asks AWS to do to the instance, and AWS has done."""

    def ask(play: Play) -> None:
        getattr(play.lane.aws.ec2, action)(InstanceIds=[play.instances[-1].id])

    return ask


def go_on(play: Play) -> None:
    with contextlib.suppress(FileNotFoundError):  # terminated, and its disk with it
        (play.home / "go-on").touch()


def fill_here(play: Play) -> None:
    """The project's folder is a disk of its own, with room for what is pushed alone."""
    argv = ["mount", "-t", "tmpfs", "-o", f"size={BIG // 2}", "tmpfs", str(play.project.root)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")

    def grow(play: Play) -> None:
        argv = ["mount", "-o", f"remount,size={BIG * 4}", str(play.project.root)]
        subprocess.run(argv, check=True)

    play.mend = grow


def faults(**asked: object) -> Deed:
    def set_them(play: Play) -> None:
        play.lane.faults(**asked)

    return set_them


def nothing(_play: Play) -> None:
    pass


BEFORE: dict[str, Deed] = {
    "no capacity": faults(capacity=EVERY_TYPE),
    "AWS throttles": faults(throttle=2),
    "AWS may not be asked to terminate it": faults(errors={"TerminateInstances": "UnauthorizedOperation"}),
    "AWS may not be asked to end it at all": faults(
        errors={"TerminateInstances": "UnauthorizedOperation", "StopInstances": "UnauthorizedOperation"}
    ),
    "AWS has an error of its own": faults(
        errors={"TerminateInstances": {"code": "InternalError", "status": 500, "times": 2}}
    ),
    "the answer of AWS is lost": faults(
        errors={"TerminateInstances": {"code": "drop", "times": 1, "after": True}}
    ),
    "the disk there is full": faults(disk_full_mb=FULL_MB),
    "the disk here is full": fill_here,
}
STEPS = {
    ("launch", "AWS out of reach"): "after RunInstances",
    ("end", "AWS out of reach"): "before start of rsync",
}
DURING: dict[str, Deed] = {
    "Ctrl-C": signalled(signal.SIGINT),
    "Ctrl-C twice": twice,
    "SIGTERM": signalled(signal.SIGTERM),
    "the terminal is closed": signalled(signal.SIGHUP),
    "`kill -9`": signalled(signal.SIGKILL),
    "all connections are reset": lambda play: play.lane.faults(drop_ssh=True),
    "the network is away for 2 s": away,
    "the network stays away, Ctrl-C twice": away_for_good,
    "it restarts": asked("reboot_instances"),
    "somebody stops it": asked("stop_instances"),
    "somebody terminates it": asked("terminate_instances"),
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a row: of the run that failed, and of all that it had once the rest was typed."""

    said: CommandResult
    here: dict[str, bytes]
    state: str
    again: CommandResult | None
    lost: list[str]
    edit: str
    both: set[bytes]
    alive: list[str]
    results: dict[str, bytes]


def new_play(lane: Lane, phase: str, failure: str, folder: Path) -> Play:
    """The run that is to fail so."""
    waits = phase == "run" and failure in DURING
    command = JOB.format(wait=WAIT if waits else "")
    return Play(
        lane=lane,
        phase=phase,
        command=CATCHES + command if failure == "Ctrl-C twice" else command,
        cut_at=STEPS.get((phase, failure)),
        folder=folder,
    )


def play(row: Play, failure: str, words: str) -> Ended:
    """Let it fail, look, mend what failed, type these words, and look again."""
    project = row.project
    BEFORE.get(failure, nothing)(row)
    for name in ("mine", "both"):
        project.write(name, f"{name}\n")
    if row.phase == "push":
        (project.root / "in.bin").write_bytes(b"x" * BIG)
    if row.phase == "end" and failure in DURING:
        row.lane.faults(throttle={"TerminateInstances": 3})  # holds the end open
    try:
        said = fail(row, failure)
        state, left, here = row.state(), row.left(), contents(project.root / "out")
        row.mend(row)
        again = type_it(row, words) if words else None
        row.state()
        results = contents(project.root / "out")
        return Ended(
            said=said,
            here=here,
            state=state,
            again=again,
            lost=[name for name, content in left.items() if results.get(name) != content],
            edit=project.read("mine"),
            both={one.read_bytes() for one in project.root.rglob("both*")},
            alive=[one.id for one in row.instances if one.state not in GONE],
            results=results,
        )
    finally:
        row.close()


def type_it(row: Play, words: str) -> CommandResult:
    """Type what the page says is to be typed."""
    if words == "the same again":
        return row.project.ec2tasks("run", "--terminate", JOB.format(wait=""))
    return row.project.ec2tasks(*words.split()[1:])


def fail(row: Play, failure: str) -> CommandResult:
    """The run that fails, to its end."""
    row.begin()
    if failure in DURING:
        row.at_phase()
        row.project.write("mine", "edited\n")
        row.project.write("both", "edited\n")
        DURING[failure](row)
        if row.phase == "run" and failure not in ENDS_IT:
            go_on(row)
    return row.running.end()
