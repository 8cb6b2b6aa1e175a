"""How long a login keeps an instance: while something works, or another comes, and then for some hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.guard import Guard
from support.instance_scripts import skip_without_linux
from support.waiting import until

from ec2tasks.base.scripts import remote_script

LIMIT, WINDOW, STAT, GPUS = "login_limit=28800", "window=60", "</proc/stat", "compgen -G '/dev/nvidia[0-9]*'"
COUNTS = "kim@notty is logged in"
CALM = f"{COUNTS}, but nothing worked for 0 h"


class Machine:
    """A guard of a machine whose logins and work are as they are told, its hours seconds."""

    def __init__(self, folder: Path) -> None:
        self.logins, self.works = folder / "logins", folder / "works"
        self.works.touch()
        self.log_in(7)
        (folder / "bin").mkdir()
        (folder / "bin" / "ps").write_text(f"#!/bin/sh\ncat {self.logins}\n")
        (folder / "bin" / "ps").chmod(0o755)
        self.gpu = folder / "bin" / "nvidia-smi"
        text = remote_script("guard.sh")
        # One core, by the guard's own clock, while the file is there: however slow this test is.
        stat = f"< <([ -e {self.works} ] && echo cpu $((now * 100)) 0 0 || echo cpu $busy 0 0)"
        for old, new in ((LIMIT, "login_limit=3"), (WINDOW, "window=1"), (STAT, stat), (GPUS, "true")):
            assert old in text
            text = text.replace(old, new)
        self.guard = Guard(folder, text, "idle_stop 3600\nmax_seconds 0\n")

    def log_in(self, *pids: int) -> None:
        """Let these, and no others, be logged in: an editor's connection and what it runs."""
        lines = [f"{pid} 1 S sshd: kim@notty\n{pid}1 {pid} S bash\n" for pid in pids]
        self.logins.with_suffix(".new").write_text("".join(lines))
        self.logins.with_suffix(".new").replace(self.logins)

    def has_gpus(self, told: str) -> None:
        """Let nvidia-smi tell this of them."""
        self.gpu.with_suffix(".new").write_text(f"#!/bin/sh\nprintf '{told}'\n")
        self.gpu.with_suffix(".new").chmod(0o755)
        self.gpu.with_suffix(".new").replace(self.gpu)

    def now(self) -> int:
        """The moment of the guard's last look."""
        return int(until(lambda: self.guard.state().get("now"), "its first look"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    skip_without_linux()
    machine = Machine(tmp_path)
    yield machine
    machine.guard.kill()


def test_an_editor_that_was_left_open_counts_no_longer_than_some_hours(machine: Machine) -> None:
    machine.works.unlink()
    machine.guard.says("reason", CALM)
    assert machine.guard.state()["because"] == f"idle_stop: {CALM}"
    machine.log_in(7, 8)
    machine.guard.says("reason", COUNTS)  # somebody has come
    machine.guard.says("reason", CALM)
    machine.log_in()
    machine.guard.says("reason", "nobody is on it, and no command runs")


def test_it_counts_as_long_as_something_works(machine: Machine) -> None:
    first = machine.now()
    until(lambda: machine.now() > first + 5, "twice as long as a login counts by itself")
    assert machine.guard.state()["reason"] == COUNTS
    machine.works.unlink()
    machine.guard.says("reason", CALM)


@pytest.mark.parametrize(
    "told",
    [
        "0\\n97\\n",
        pytest.param("NVIDIA-SMI has failed\\n", marks=pytest.mark.long),
        pytest.param("", marks=pytest.mark.long),
    ],
)
def test_a_gpu_that_works_or_does_not_tell_is_work(machine: Machine, told: str) -> None:
    machine.has_gpus(told)
    machine.works.unlink()
    first = machine.now()
    until(lambda: machine.now() > first + 5, "twice as long as a login counts by itself")
    assert machine.guard.state()["reason"] == COUNTS
    machine.has_gpus("0\\n4\\n")
    machine.guard.says("reason", CALM)
