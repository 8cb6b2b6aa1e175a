"""The sampler beside a job, run here as it would run there, but quicker and with a kernel of files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.instance_scripts import skip_without_linux
from support.waiting import until

from ec2tasks.base.scripts import remote_script
from ec2tasks.usage.samples import Gpu, Sample, read_samples

GPU = "0, {}, 9100, 15360, 65.30, 70.00"


class Sampled:
    """A job of nothing but its files, and the sampler beside it."""

    def __init__(self, home: Path) -> None:
        skip_without_linux()
        self.home, self.job, self.project = home, home / ".ec2tasks" / "runs" / "j", home / "shop"
        for folder in (self.job, self.project / ".ec2tasks", home / "bin"):
            folder.mkdir(parents=True)
        self.keeper = subprocess.Popen(["sleep", "300"])
        self.sampler: subprocess.Popen[bytes] | None = None
        (self.job / "job").write_text("remote_dir=shop\n")
        for name in ("out", "err"):
            (self.job / name).touch()
        self.ticks = 0
        self.work(0)

    def work(self, ticks: int) -> None:
        """Let processes take so many hundredths of a second more of the processors."""
        self.ticks += ticks
        (self.home / "new").write_text(f"7 (odd) name) S 1 1 1 0 -1 0 0 0 0 0 {self.ticks} 0 0 0 20\n")
        (self.home / "new").replace(self.home / "stat")

    def gpus(self, text: str, *, end: str = "") -> None:
        """A nvidia-smi that tells this, again and again unless it comes to an `end`."""
        path = self.home / "bin" / "nvidia-smi"
        lines = self.home / "gpus"
        lines.write_text(text)
        path.write_text(f"#!/bin/bash\nwhile cat {lines}; do {end or 'sleep 0.1'}; done\n")
        path.chmod(0o755)

    def begin(self, **changes: str) -> None:
        text = remote_script("sampler.sh")
        words = {
            "EVERY=10 WINDOW=60 STALE=30": "EVERY=0.2 WINDOW=0 STALE=1",
            "/proc/[0-9]*/stat": str(self.home / "stat"),
            "/dev/nvidia[0-9]*": str(self.home / "no-such-device*"),
            **changes,
        }
        for old, new in words.items():
            assert old in text, old
            text = text.replace(old, new)
        began = Path("/proc/uptime").read_text().split(".")[0]
        environ = {"HOME": str(self.home), "PATH": f"{self.home}/bin:{os.environ['PATH']}"}
        argv = ["bash", "-c", text, "sampler.sh", "j", str(self.keeper.pid), began]
        self.sampler = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL)
        until(lambda: bool(self.samples()), "a sample")

    def samples(self) -> tuple[Sample, ...]:
        path = self.job / "samples"
        return read_samples(path.read_text()) if path.exists() else ()

    def quiet(self) -> tuple[int, int]:
        """When it last looked, and since when the job is quiet, in seconds of the uptime."""
        seen, since = (self.job / "quiet").read_text().split()
        return int(seen), int(since)

    def is_quiet(self, seconds: int = 1) -> bool:
        seen, since = self.quiet()
        return seen - since >= seconds

    def is_heard(self, act: Callable[[], object]) -> None:
        """Whether something that is done ends the quiet."""
        until(self.is_quiet, "quiet")
        _, before = self.quiet()
        act()
        until(lambda: self.quiet()[1] > before, "heard of")

    def end(self) -> None:
        for process in filter(None, (self.keeper, self.sampler)):
            process.kill()
            process.wait()


@pytest.fixture
def sampled(tmp_path: Path) -> Iterator[Sampled]:
    made = Sampled(tmp_path)
    yield made
    made.end()


def test_it_notes_the_machine_and_each_gpu_and_ends_with_the_job(sampled: Sampled) -> None:
    sampled.gpus(f"{GPU.format(81)}\n1, [N/A], 100, 15360, [N/A], [Not Supported]\nno line of ours\n")
    sampled.begin()
    until(lambda: len(sampled.samples()) > 3, "samples")
    sample = sampled.samples()[-1]
    assert sample.gpus == (
        Gpu(utilisation=0.81, memory=9100 << 20, memory_total=15360 << 20, power=65.3, power_limit=70),
        Gpu(utilisation=None, memory=100 << 20, memory_total=15360 << 20, power=None, power_limit=None),
    )
    assert 0 < sample.memory <= sample.memory_total
    assert 0 < sample.disk <= sample.disk_total
    assert sampled.sampler
    children = subprocess.run(["pgrep", "-P", str(sampled.sampler.pid)], capture_output=True, text=True)
    sampled.keeper.kill()
    sampled.keeper.wait()
    assert sampled.sampler.wait(10) == 0
    for pid in map(int, children.stdout.split()):
        until(lambda pid=pid: not alive(pid), f"{pid} to end with it")  # type: ignore[misc]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_output_files_and_work_end_the_quiet_and_what_ec2tasks_keeps_does_not(sampled: Sampled) -> None:
    sampled.begin()
    sampled.is_heard(lambda: (sampled.job / "out").write_text("a line\n"))
    sampled.is_heard(lambda: (sampled.project / "made").touch())
    sampled.is_heard(lambda: (sampled.project / "made").chmod(0o700))
    sampled.is_heard(lambda: sampled.work(100_000))
    until(sampled.is_quiet, "quiet")
    _, before = sampled.quiet()
    (sampled.project / ".ec2tasks" / "incoming").touch()
    until(lambda: sampled.is_quiet(3), "quiet all the time")
    assert sampled.quiet()[1] == before


@pytest.mark.parametrize(
    ("told", "end", "quiet"),
    [
        (GPU.format(4), "", True),
        (GPU.format(5), "", False),
        pytest.param(GPU.format("[N/A]"), "", False, marks=pytest.mark.long),  # as with MIG
        pytest.param(f"{GPU.format(0)}\n1, 100, 1, 2, 3, 4", "", False, marks=pytest.mark.long),
        ("", "", False),  # a driver that hangs
        ("", "exit 9", True),  # the program, but no driver
        (GPU.format(0), "exit 9", False),  # it told once, and does no longer
    ],
)
def test_a_gpu_that_computes_or_does_not_tell_is_never_quiet(
    told: str, end: str, quiet: bool, sampled: Sampled
) -> None:
    sampled.gpus(told and f"{told}\n", end=end)
    sampled.begin()
    if quiet:
        until(sampled.is_quiet, "quiet")
        return
    first = sampled.quiet()[0]
    until(lambda: sampled.quiet()[0] >= first + 2, "looks")
    assert not sampled.is_quiet(2)


def test_of_many_samples_every_second_one_goes_and_then_half_as_many_come(sampled: Sampled) -> None:
    sampled.begin(**{"KEPT=4000": "KEPT=4"})
    until(lambda: (samples := sampled.samples()) and samples[-1].time - samples[0].time > 1.5, "time")
    assert len((sampled.job / "samples").read_text().splitlines()) <= 4


def test_it_holds_where_the_disk_is_full_and_ends_where_its_folder_goes(sampled: Sampled) -> None:
    sampled.begin()
    (sampled.job / "samples").unlink()
    (sampled.job / "samples").symlink_to("/dev/full")
    first = sampled.quiet()[0]
    until(lambda: sampled.quiet()[0] > first + 1, "it looks on")
    sampled.job.rename(sampled.home / "gone")
    assert sampled.sampler
    assert sampled.sampler.wait(10) == 0


def test_killed_hard_it_leaves_nothing_behind(sampled: Sampled) -> None:
    sampled.gpus(f"{GPU.format(81)}\n")
    sampled.begin()
    assert sampled.sampler
    sampled.sampler.send_signal(signal.SIGKILL)
    sampled.sampler.wait()
    smi = ["pgrep", "-f", f"{sampled.home}/bin/nvidia-smi"]
    deadline = time.monotonic() + 10
    while subprocess.run(smi, capture_output=True).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
