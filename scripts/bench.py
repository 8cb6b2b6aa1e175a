"""How long a warm run takes beside the three plain commands it replaces, side by side on the local EC2.

Each round times both, in turn, so that whatever else the machine does weighs on both alike; what counts is
the ratio of the medians.
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
    return {**medians, "ratio": medians["ec2tasks"] / medians["plain"]}


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
    sys.exit(found["ratio"] >= 1)


if __name__ == "__main__":
    main()
