"""How long a run's environment takes on the local EC2, beside plain `uv sync` in the same place.

The first build, a second run, a run after a changed line of the lock file: each a whole run beside one that
does with `uv sync` what the environment does, in turn. uv and its downloads are there before: timed is what
ec2tasks adds. The packages come from PyPI.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

PROJECT = """\
[project]
name = "bench"
version = "1"
requires-python = ">=3.10"
dependencies = ["humanize{humanize}", "tabulate", "click", "rich", "pyyaml"]
"""
SHOW = "python -c 'import humanize, rich, yaml'"
PLAIN = (
    "PATH=$HOME/.ec2tasks/tools/bin:$PATH UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1"
    " UV_PROJECT_ENVIRONMENT=$HOME/plain-{number} sh -c"
    ' "uv sync -q --frozen && $HOME/plain-{number}/bin/{show}"'
)


def environment(home: Path) -> dict[str, str]:
    """A user on the local EC2, with a home of the benchmark's own."""
    own = {"HOME": str(home), "USER": "bench", "EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(home / "l")}
    return {**os.environ, **own, "AWS_FINAL_STATE": "leave", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}


def timed(argv: list[str], root: Path, environ: dict[str, str]) -> float:
    """The seconds that a command takes, which must succeed."""
    began = time.monotonic()
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr}")
    return time.monotonic() - began


def lock(root: Path, environ: dict[str, str], humanize: str) -> None:
    """The project's lock file, with this version of one package."""
    (root / "pyproject.toml").write_text(PROJECT.format(humanize=humanize), encoding="utf-8")
    timed(["uv", "lock", "--quiet"], root, environ)


def measure(root: Path, environ: dict[str, str], rounds: int) -> dict[str, tuple[float, float]]:
    """Of each case the medians in seconds: with the environment, with plain uv sync."""
    times: dict[str, tuple[list[float], list[float]]] = {}
    for number in range(rounds):
        for case, humanize in (("first", "==4.9.0"), ("second run", "==4.9.0"), ("changed line", "==4.10.0")):
            lock(root, environ, humanize)
            if case == "first":
                # Nothing of it is there but uv and what it has downloaded.
                gone = "rm -rf ~/.ec2tasks/env/[0-9a-f]* ~/plain-*"
                timed(["ec2tasks", "run", "--env", "none", gone], root, environ)
            ours, plain = times.setdefault(case, ([], []))
            ours.append(timed(["ec2tasks", "run", SHOW], root, environ))
            words = PLAIN.format(number=number, show=SHOW)
            plain.append(timed(["ec2tasks", "run", "--env", "none", words], root, environ))
    return {case: (statistics.median(one), statistics.median(two)) for case, (one, two) in times.items()}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="ec2-bench-", dir="/tmp") as folder:
        home, root = Path(folder), Path(folder) / "bench"
        home.chmod(0o755)
        root.mkdir()
        environ = environment(home)
        try:
            lock(root, environ, "==4.9.0")
            timed(["ec2tasks", "run", SHOW], root, environ)  # launches, and brings uv there
            print("seconds of a whole run, medians          with its environment   with plain uv sync")
            for case, (ours, plain) in measure(root, environ, rounds).items():
                print(f"{case:<40} {ours:>20.2f} {plain:>20.2f}")
        finally:
            subprocess.run(["ec2tasks", "local.down"], env=environ, capture_output=True)


if __name__ == "__main__":
    main()
