"""How long a sync takes beside bare rsync with the same options, over the same connection, in the same run.

Both are timed in turn, so that whatever else the machine does weighs on both alike; what counts is the ratio
of the medians. Ours is the sync itself, in a process of its own, from comparing to the baseline on the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench import environment, quietly, timed

OPTIONS = ("--recursive", "--links", "--perms", "--times", "--omit-dir-times", "--copy-unsafe-links")
MEMORY_LIMIT = 300  # MB
ROUND_TRIPS = 2  # more than bare rsync, each way

WORKER = """
import json, resource, shlex, sys, time
from pathlib import Path
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync.engine import SyncOptions, sync_files
root, ssh, login, home, push, pull, empty = json.loads(sys.argv[1])
remote = RemoteFolder(instance_id="i-bench", login=login, shell=ssh, folder="p", home=home, empty=empty,
    remotely=lambda argv: [*shlex.split(ssh), login, shlex.join(argv)])
began = time.perf_counter()
sync_files(Path(root), remote, new_job_id(), Tools(), SyncOptions(push=push, pull=pull))
print(json.dumps([time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


class Bench:
    """One instance of the local EC2, a control connection to it, and the two ways to sync with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environ = folder, environment(folder)
        (folder / "p").mkdir()
        quietly(["ec2tasks", "up"], folder / "p", self.environ)
        status = json.loads(quietly(["ec2tasks", "status", "--json"], folder / "p", self.environ))
        self.login, self.home = f"{status['user']}@{status['address']}", f"/home/{status['user']}"
        given = {
            "ControlMaster": "auto",
            "ControlPath": folder / "cm",
            "ControlPersist": "60",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": folder / "plain_hosts",
        }
        options = " ".join(f"-o {name}={value}" for name, value in given.items())
        self.ssh = f"ssh -F none -p 22022 -i {folder}/.ssh/ec2tasks {options}"

    def on_instance(self, command: str) -> None:
        """Run a command on the instance."""
        quietly([*self.ssh.split(), self.login, command], self.folder, self.environ)

    def bare(self, root: Path, *, push: bool = True) -> float:
        """Seconds of one bare rsync, into a folder of its own."""
        ends = [f"{root}/", f"{self.login}:bare/"]
        argv = ["rsync", *OPTIONS, "--exclude=/.ec2tasks/", "-e", self.ssh, *(ends if push else ends[::-1])]
        return timed(lambda: quietly(argv, self.folder, self.environ))

    def ours(
        self, root: Path, *, push: bool = True, pull: bool = False, empty: bool = False
    ) -> tuple[float, float]:
        """Seconds of one sync of ours, and the MB of memory it took."""
        words = json.dumps([str(root), self.ssh, self.login, self.home, push, pull, empty])
        output = quietly([sys.executable, "-c", WORKER, words], self.folder, self.environ)
        seconds, memory = json.loads(output)
        return seconds, memory

    def clear(self, root: Path) -> None:
        """Back to an instance with nothing on it."""
        self.on_instance("rm -rf bare p; mkdir -p bare p/.ec2tasks/incoming")
        shutil.rmtree(root / ".ec2tasks", ignore_errors=True)


def make_files(root: Path, count: int, size: int) -> None:
    """So many files of so many bytes, 500 a folder."""
    shutil.rmtree(root, ignore_errors=True)
    for number in range(count):
        path = root / f"d{number // 500}" / f"f{number}"
        if number % 500 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(16) * (size // 16))


class Figure(NamedTuple):
    """The median seconds of ours and of its floor, bare rsync, and the most that their ratio may be."""

    name: str
    seconds: float
    floor: float
    target: float


def medians(rounds: int, ours: Callable[[], float], bare: Callable[[], float]) -> tuple[float, float]:
    """The medians of both, timed in turn."""
    times = [(bare(), ours()) for _ in range(rounds)]
    return statistics.median(time for _, time in times), statistics.median(time for time, _ in times)


def nothing(bench: Bench, root: Path, count: int, rounds: int, *, both: bool) -> tuple[float, float]:
    """Nothing to move on so many files."""
    make_files(root, count, 5_000 if count == 200 else 2_000)
    bench.clear(root)
    bench.ours(root, empty=True)
    bench.bare(root)

    def bare() -> float:
        return bench.bare(root) + (bench.bare(root, push=False) if both else 0)

    return medians(rounds, lambda: bench.ours(root, pull=both)[0], bare)


def first(bench: Bench, root: Path, rounds: int) -> tuple[float, float]:
    """The first push of what is there."""

    def ours() -> float:
        bench.clear(root)
        return bench.ours(root, empty=True)[0]

    def bare() -> float:
        bench.clear(root)
        return bench.bare(root)

    return medians(rounds, ours, bare)


def fetched(bench: Bench, root: Path, count: int, rounds: int) -> tuple[float, float]:
    """So many new files of 100 bytes, made there since a push, fetched here."""
    make = f"import os\nfor n in range({count}):\n f = f'out/d{{n // 500}}'\n"
    make += " n % 500 or os.makedirs(f)\n open(f'{f}/f{n}', 'w').write('x' * 100)"

    def there(folder: str) -> None:
        make_files(root, 1, 100)
        bench.clear(root)
        bench.ours(root, empty=True)
        bench.on_instance(f"cd {folder} && python3 -c {shlex.quote(make)}")

    def ours() -> float:
        there("p")
        return bench.ours(root, push=False, pull=True)[0]

    def bare() -> float:
        there("bare")
        return bench.bare(root, push=False)

    return medians(rounds, ours, bare)


def ten_changed(bench: Bench, root: Path, rounds: int, *, both: bool) -> tuple[float, float]:
    """Ten changed files among those that both sides have.

    Ours compares once for both ways; a push alone pays for that and for looking at what it replaced there.
    """
    count = 0

    def changed(push: Callable[[], float]) -> float:
        nonlocal count
        for number in range(10):
            count += 1
            (root / f"d{number}" / f"f{number * 500}").write_text(f"changed {count}")
        return push()

    return medians(
        rounds,
        lambda: changed(lambda: bench.ours(root, pull=both)[0]),
        lambda: changed(lambda: bench.bare(root) + (bench.bare(root, push=False) if both else 0)),
    )


def big_files(root: Path, count: int, megabytes: int) -> None:
    """So many files of random bytes, and no others."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for number in range(count):
        with (root / f"big{number}").open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1_000_000))


def figures(bench: Bench, root: Path, rounds: int, *, big: bool) -> Iterator[Figure]:
    """Each figure as it is found."""
    yield Figure("nothing to move, 200 files", *nothing(bench, root, 200, rounds + 4, both=False), 1.5)
    both_ways = nothing(bench, root, 50_000, rounds, both=True)
    yield Figure("nothing to move, 50,000 files, both ways", *both_ways, 1.3)
    yield Figure("10 changed of 50,000, both ways", *ten_changed(bench, root, rounds, both=True), 1.3)
    yield Figure("10 changed of 50,000, push alone", *ten_changed(bench, root, rounds, both=False), 1.2)
    yield Figure("first push, 50,000 files of 2 kB", *first(bench, root, rounds), 1.0)
    yield Figure("fetch of 100,000 new files", *fetched(bench, root, 100_000, rounds), 1.3)
    if big:
        big_files(root, 10, 100)
        yield Figure("first push, 1 GB in 10 files", *first(bench, root, rounds), 1.05)
        big_files(root, 1, 2000)
        yield Figure("one file of 2 GB", *first(bench, root, 1 if rounds < 3 else 2), 1.05)


def growth(bench: Bench, root: Path, counts: tuple[int, ...]) -> list[tuple[int, float, float]]:
    """For so many files: seconds a thousand of them with nothing to move, and MB of memory."""
    rows = []
    for count in counts:
        make_files(root, count, 100)
        bench.clear(root)
        bench.ours(root, empty=True)
        times = [bench.ours(root, pull=True) for _ in range(3)]
        seconds = statistics.median(seconds for seconds, _ in times)
        rows.append((count, seconds * 1000 / count, max(memory for _, memory in times)))
    return rows


def round_trips(bench: Bench, root: Path, latency: int) -> float:
    """Round trips that a sync with nothing to move takes beyond one bare rsync each way."""
    make_files(root, 200, 5_000)
    bench.clear(root)
    bench.ours(root, empty=True)
    bench.bare(root)
    faults = ["ec2tasks", "local.faults"]
    quietly([*faults, "--set", f"latency_ms: {latency}"], bench.folder, bench.environ)
    ours = [bench.ours(root, pull=True)[0] for _ in range(3)]
    bare = [bench.bare(root) + bench.bare(root, push=False) for _ in range(3)]
    quietly([*faults, "--clear"], bench.folder, bench.environ)
    return (statistics.median(ours) - statistics.median(bare)) / (latency / 1000)


def measure(bench: Bench, rounds: int, *, big: bool) -> bool:
    """Print each figure with its limit; whether all of them hold."""
    root = bench.folder / "files"
    good = True

    def say(name: str, value: float, limit: float, unit: str) -> None:
        nonlocal good
        good &= value <= limit
        print(f"{name:<45} {value:6.2f} {unit}   (at most {limit:g})", flush=True)

    for name, seconds, floor, target in figures(bench, root, rounds, big=big):
        say(name, seconds / floor, target, f"of bare rsync: {seconds:.2f} s beside {floor:.2f} s")
    say("round trips more, at 50 ms each", round_trips(bench, root, 50), ROUND_TRIPS, "round trips")
    for count, seconds, memory in growth(bench, root, (1_000, 10_000, 100_000, 200_000)):
        say(f"memory for {count:,} files ({seconds:.3f} s a thousand)", memory, MEMORY_LIMIT, "MB")
    return good


def main() -> None:
    """Print the figures; fail where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-big", action="store_true", help="without the file of 2 GB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ec2b", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bench = Bench(folder)
        try:
            good = measure(bench, given.rounds, big=not given.no_big)
        finally:
            subprocess.run(["ec2tasks", "local.down"], cwd=folder, env=bench.environ, capture_output=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
