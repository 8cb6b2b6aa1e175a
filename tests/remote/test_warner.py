"""The signal before an instance's end: which programs of a job get it, when, and how often."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.instance_scripts import skip_without_linux
from support.waiting import until

from ec2tasks.base.scripts import remote_script

SAVES = """
import os, signal, sys, time
def save(*_):
    with open(f"saved-{sys.argv[1]}", "a") as file:
        file.write("x")
signal.signal(signal.SIGNAL, save)
if len(sys.argv) > 2:
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "saves.py", sys.argv[2]])
open(f"ready-{sys.argv[1]}", "w").close()
while True:
    time.sleep(0.05)
"""


class Warned:
    """A job's processes and the warner beside them, with a guard that says what a test wants."""

    def __init__(self, home: Path) -> None:
        skip_without_linux()
        self.home, self.job = home, home / ".ec2tasks" / "runs" / "j"
        self.job.mkdir(parents=True)
        (home / "run").mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self, command: str, *, name: str = "TERM", ready: int = 1) -> None:
        (self.job / "job").write_text(f"warn_before=120\nnotice_signal={name}\n")
        (self.home / "saves.py").write_text(SAVES.replace("SIGNAL", f"SIG{name}"))
        self.says("3600", "max_hours")
        environ = {**os.environ, "HOME": str(self.home), "PY": sys.executable}
        argv = ["bash", "-c", command]
        job = subprocess.Popen(argv, cwd=self.home, env=environ, start_new_session=True)
        self.processes.append(job)
        until(lambda: len(list(self.home.glob("ready-*"))) == ready, "it runs")
        (self.job / "pid").write_text(str(job.pid))
        text = f"{remote_script('metadata.sh')}\n{remote_script('warner.sh')}"
        for old, new in (("EVERY=5", "EVERY=0.1"), ("/run/ec2tasks-guard", self.home / "run")):
            assert old in text
            text = text.replace(old, str(new))
        keeper = subprocess.Popen(["sleep", "300"])
        argv = ["bash", "-c", text, "warner.sh", "j", str(keeper.pid), "0"]
        self.processes += [keeper, subprocess.Popen(argv, env=environ)]

    def says(self, ends_in: str, because: str) -> None:
        (self.home / "run" / "new").write_text(f"ends_in {ends_in}\nbecause {because}\nend stop\n")
        (self.home / "run" / "new").replace(self.home / "run" / "state")

    def saved(self, name: str) -> int:
        path = self.home / f"saved-{name}"
        return path.stat().st_size if path.exists() else 0

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[0].pid, signal.SIGKILL)
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def warned(tmp_path: Path) -> Iterator[Warned]:
    made = Warned(tmp_path)
    yield made
    made.end()


def test_a_program_that_catches_it_gets_it_once_each_time_the_end_comes_near(warned: Warned) -> None:
    warned.begin("$PY saves.py a; true")
    for ends_in, because in (
        ("121", "max_hours"),
        ("60", "idle_stop: nobody is on it"),
        ("-", "idle_stop and max_hours are never"),
        ("soon", "max_hours"),
    ):
        warned.says(ends_in, because)
        time.sleep(0.3)
        assert warned.saved("a") == 0
    warned.says("120", "max_cost")
    until(lambda: warned.saved("a") == 1, "saved")
    noticed = warned.job / "noticed"
    until(lambda: noticed.is_file() and noticed.read_text() == "TERM\n", "noted")
    warned.says("3600", "stalled_stop: nothing done for 60 min")
    time.sleep(0.3)
    warned.says("119", "stalled_stop: nothing done for 118 min")
    until(lambda: warned.saved("a") == 2, "saved again")
    time.sleep(0.3)
    assert warned.saved("a") == 2


def test_what_a_program_that_catches_it_has_begun_and_what_does_not_catch_it_goes_on(warned: Warned) -> None:
    deaf = '$PY -c \'import time; open("ready-c", "w"); time.sleep(100); open("died", "w")\''
    warned.begin(f"{deaf} & $PY saves.py a b; true", ready=3)
    warned.says("60", "max_hours")
    until(lambda: warned.saved("a") == 1, "saved")
    time.sleep(0.3)
    assert warned.saved("b") == 0
    found = subprocess.run(["pgrep", "-g", str(warned.processes[0].pid)], capture_output=True, text=True)
    assert len(found.stdout.split()) == 4


def test_make_keeps_the_file_that_it_was_making_and_its_program_gets_the_signal(warned: Warned) -> None:
    (warned.home / "Makefile").write_text("made:\n\techo 1 >made; $(PY) saves.py a\n")
    warned.begin("make made", name="USR1")
    warned.says("60", "max_hours")
    until(lambda: warned.saved("a") == 1, "saved")
    time.sleep(0.3)
    assert (warned.home / "made").exists()
    assert warned.saved("a") == 1


def test_a_shell_that_traps_it_does_so_at_once_whatever_it_waits_for(warned: Warned) -> None:
    warned.begin("trap 'echo x >saved-a; exit 3' TERM; touch ready-a; sleep 100")
    warned.says("60", "max_hours")
    assert warned.processes[0].wait(20) == 3
    assert warned.saved("a") == 2
