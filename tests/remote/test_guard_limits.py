"""What the guard keeps beside idle_stop: the limit of what it may cost, and the end of commands that hang."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.guard import Guard
from support.instance_scripts import skip_without_linux
from support.waiting import until

from ec2tasks.base.scripts import remote_script

STALLED = "stalled_stop: nothing done for 1 min"
NEVER = "idle_stop and max_hours are never"
UNFETCHED = "a spot instance can't be stopped, only terminated, and what is on it has not been fetched"


class Watched:
    """A guard, and jobs of which it knows their files alone."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.held = held
        self.own = folder / "home" / ".ec2tasks"
        self.own.mkdir(parents=True)
        self.limits()
        self.guard = Guard(folder, remote_script("guard.sh"), "idle_stop 0\n")
        held.callback(self.guard.kill)

    def limits(self, **limits: int) -> None:
        text = "".join(f"{name} {value}\n" for name, value in limits.items())
        (self.own / "new").write_text(text)
        (self.own / "new").replace(self.own / "limits")

    def job(self, name: str, *, lost: bool = False) -> Path:
        folder = self.own / "runs" / name
        folder.mkdir(parents=True)
        (folder / "alive").touch()
        if not lost:
            process = subprocess.Popen(
                ["flock", "--no-fork", folder / "alive", "sh", "-c", "echo held; exec sleep 600"],
                stdout=subprocess.PIPE,
            )
            assert process.stdout
            assert process.stdout.readline() == b"held\n"
            self.held.callback(process.wait)
            self.held.callback(process.kill)
            self.held.callback(process.stdout.close)
        (folder / "started").touch()
        return folder

    def quiet(self, job: Path, *, since: int, seen: int = 0) -> None:
        """Let it be quiet since so many seconds ago, as of so many seconds ago."""
        (job / "new").write_text(f"{uptime() - seen} {uptime() - since}    \n")
        (job / "new").replace(job / "quiet")

    def because(self, words: str) -> None:
        self.guard.says("because", words)

    def stays(self, words: str) -> None:
        """It says so now, and at its next look."""
        self.because(words)
        seen = self.guard.state()["now"]
        until(lambda: self.guard.state()["now"] != seen, "another look")
        self.because(words)


def uptime() -> int:
    return int(Path("/proc/uptime").read_text().split(".")[0])


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    skip_without_linux()
    with ExitStack() as held:
        yield Watched(tmp_path, held)


def test_commands_that_do_nothing_end_it_and_what_is_not_known_does_not(watched: Watched) -> None:
    job = watched.job("a")
    watched.limits(stalled_stop=150)
    watched.stays(NEVER)  # nothing is known of it
    watched.quiet(job, since=60)
    watched.stays(NEVER)  # not for half of the time
    watched.quiet(job, since=100)
    watched.because(STALLED)
    assert 30 <= int(watched.guard.state()["ends_in"]) <= 50
    watched.quiet(job, since=100, seen=90)
    watched.because(NEVER)  # what is known is too old
    (job / "quiet").write_text("9999999999999 1 x\n")
    watched.stays(NEVER)
    watched.quiet(job, since=100)
    watched.job("lost", lost=True)
    watched.because(STALLED)
    other = watched.job("b")
    watched.because(NEVER)
    watched.quiet(other, since=110)
    watched.because(STALLED)
    watched.quiet(other, since=2)
    watched.because(NEVER)
    (other / "exit").write_text("0\n")
    watched.because(STALLED)
    assert not watched.guard.off.exists()
    watched.quiet(job, since=151)
    until(watched.guard.off.exists, "its end")


def test_a_spot_instance_ends_so_once_all_was_fetched_since(watched: Watched) -> None:
    job = watched.job("a")
    folder = watched.own / "folders" / "shop"
    folder.mkdir(parents=True)
    watched.limits(stalled_stop=150, spot=1)
    watched.quiet(job, since=100)
    watched.because(UNFETCHED)
    assert watched.guard.state()["ends_in"] == "-"
    (folder / "pulled").write_text(f"{uptime() - 120} {uptime()}\n")
    watched.stays(UNFETCHED)
    (folder / "pulled").write_text(f"{uptime() - 50} {uptime()}\n")
    watched.because(STALLED)
    assert watched.guard.state()["end"] == "terminate"


def test_of_max_hours_and_max_cost_the_sooner_counts(watched: Watched) -> None:
    watched.limits(max_seconds=1000, cost_seconds=2000)
    watched.because("max_hours")
    watched.limits(max_seconds=1000, cost_seconds=900)
    watched.because("max_cost")
    assert watched.guard.state()["hours_by"] == "max_cost"
    watched.limits(cost_seconds=500)
    until(lambda: watched.guard.state()["max_seconds"] == "500", "the new limit")
    watched.because("max_cost")
    assert 400 < int(watched.guard.state()["ends_in"]) <= 500
    # Another max_hours beyond that changes nothing.
    watched.limits(cost_seconds=500, max_seconds=5000)
    watched.because("max_cost")
    watched.limits(cost_seconds=1)
    until(watched.guard.off.exists, "its end")
