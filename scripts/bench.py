"""How long a warm run takes beside the three plain commands it replaces, side by side on the local EC2.

And how long 200 MB of output take beside a plain ssh, and what memory that needs here. Each round times both,
in turn, so that whatever else the machine does weighs on both alike; what counts is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

FILES, SIZE = 200, 5_000
OUTPUT_MB = 200
SLOWEST = 2.0  # times as long as a plain ssh that the output may take


def make_project(root: Path) -> None:
    """200 files of 5 kB, and nothing to move once they are there."""
    for number in range(FILES):
        path = root / f"part{number % 10}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SIZE // 2).hex().encode())


def environment(home: Path) -> dict[str, str]:
    """A user on the local EC2, with a home of the benchmark's own."""
    return {
        **os.environ,
        "HOME": str(home),
        "USER": "bench",
        "EC2_LOCAL": "1",
        "EC2_LOCAL_DIR": str(home / "l"),
    }


def plain_commands(root: Path, home: Path, instance: dict[str, str], port: int) -> list[list[str]]:
    """What a shell script would do at best: push, run, pull, a connection each."""
    ssh = [
        *("ssh", "-F", "none", "-i", str(home / ".ssh" / "ec2tasks"), "-p", str(port)),
        *(
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            f"UserKnownHostsFile={home}/plain_hosts",
            "-o",
            "LogLevel=ERROR",
        ),
    ]
    there = f"{instance['user']}@{instance['address']}"
    rsync = ["rsync", "-a", "--no-owner", "--no-group", "--exclude=.ec2tasks", "-e", " ".join(ssh)]
    return [
        [*rsync, f"{root}/", f"{there}:{root.name}/"],
        [*ssh, there, "cd", root.name, "&&", "true"],
        [*rsync, f"{there}:{root.name}/", f"{root}/"],
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def quietly(argv: Sequence[str], root: Path, environ: dict[str, str]) -> str:
    """Run a command; its stdout. Its stderr is shown where it fails."""
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{argv[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def measure(rounds: int) -> dict[str, float]:
    """The medians of both, in seconds, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="ec2b", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        root = home / "shop"
        make_project(root)
        environ = environment(home)
        try:
            return compare(rounds, root, home, environ)
        finally:
            subprocess.run(["ec2tasks", "local.down"], cwd=root, env=environ, capture_output=True)


def compare(rounds: int, root: Path, home: Path, environ: dict[str, str]) -> dict[str, float]:
    """Time both in turn on one warm instance."""
    ours = ["ec2tasks", "run", "--leave", "true"]
    quietly(ours, root, environ)
    instance = json.loads(quietly(["ec2tasks", "status", "--json"], root, environ))
    plain = plain_commands(root, home, instance, port=22022)
    for argv in plain:
        quietly(argv, root, environ)
    times: dict[str, list[float]] = {"ec2tasks": [], "plain": []}
    for _ in range(rounds):
        times["plain"].append(timed(lambda: [quietly(argv, root, environ) for argv in plain]))
        times["ec2tasks"].append(timed(lambda: quietly(ours, root, environ)))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratio = medians["ec2tasks"] / medians["plain"]
    return {**medians, "ratio": ratio, **output(rounds, plain[1][:-4], root, environ)}


def output(rounds: int, ssh: Sequence[str], root: Path, environ: dict[str, str]) -> dict[str, float]:
    """Time a command's output of 200 MB through both, in turn; the most memory ours took, in MB."""
    show = f"head -c {OUTPUT_MB}000000 /dev/zero"
    ours, plain, most = [], [], 0.0
    for _ in range(max(3, rounds // 3)):
        plain.append(timed(lambda: drained([*ssh, show], root, environ)))
        began = time.perf_counter()
        most = max(most, drained(["ec2tasks", "run", "--leave", "--no-rsync", show], root, environ))
        ours.append(time.perf_counter() - began)
    found = {"output": statistics.median(ours), "plain_output": statistics.median(plain), "memory": most}
    return {**found, "output_ratio": found["output"] / found["plain_output"]}


def drained(argv: Sequence[str], root: Path, environ: dict[str, str]) -> float:
    """Run a command to its end and throw its output away; the most memory it took, in MB."""
    with subprocess.Popen(
        argv,
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        while process.stdout.read(1 << 20):
            pass
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{argv[0]} ended with {process.returncode}")
    return used.ru_maxrss / 1024


def main() -> None:
    """Print the figures; fail where the promise of the README does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.rounds)
    if given.json:
        print(json.dumps(found))
    else:
        print(f"rsync; ssh; rsync   {found['plain']:.2f} s")
        print(f"ec2tasks run true   {found['ec2tasks']:.2f} s   {found['ratio']:.2f} times as long")
        print(f"ssh, {OUTPUT_MB} MB         {found['plain_output']:.2f} s")
        print(
            f"ec2tasks, {OUTPUT_MB} MB    {found['output']:.2f} s   {found['output_ratio']:.2f} times as long"
            f", {found['memory']:.0f} MB of memory"
        )
    sys.exit(found["ratio"] >= 1 or found["output_ratio"] > SLOWEST)


if __name__ == "__main__":
    main()
