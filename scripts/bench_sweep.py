"""How long a sweep takes on machines of the local EC2 that are up, beside plain `make -j` over rsync and ssh.

Each variant sleeps a second. In the plain one the Makefile chooses the machine by the number of the variant.
Both are timed in turn, so that whatever else this machine does weighs on both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

VARIANTS, MACHINES = 12, 3
MAKEFILE = """\
sweep: $(NUMBERS:%=out/%.txt)
out/%.txt:
\t@mkdir -p out; sleep 1; hostname > $@
plain: $(NUMBERS:%=plain-%)
plain-%:
\t@rsync -a --exclude=.ec2tasks -e '$(SSH)' ./ $(WHERE):plain-$*/
\t@$(SSH) $(WHERE) 'cd plain-$* && make -s out/$*.txt'
\t@rsync -a -e '$(SSH)' $(WHERE):plain-$*/out/ out/
WHERE = $(word $(shell expr $* % $(words $(HOSTS)) + 1),$(HOSTS))
include Makefile.inc
"""
SSH = (
    "ssh -F none -i {home}/.ssh/ec2tasks -p 22022 -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    " -o UserKnownHostsFile={home}/plain_hosts"
)


def environment(home: Path) -> dict[str, str]:
    """A user on the local EC2, with a home of the benchmark's own, whose machines stay."""
    own = {"HOME": str(home), "USER": "bench", "EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(home / "l")}
    return {**os.environ, **own, "AWS_FINAL_STATE": "leave"}


def called(argv: list[str], root: Path, environ: dict[str, str]) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def timed(work: Callable[[], object], root: Path) -> float:
    """The seconds that a sweep takes from nothing made; all must be there afterwards."""
    shutil.rmtree(root / "out", ignore_errors=True)
    (root / "out").mkdir()
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    assert len(list((root / "out").glob("*.txt"))) == VARIANTS
    return took


def measure(root: Path, home: Path, environ: dict[str, str], rounds: int) -> tuple[float, float]:
    """The medians in seconds: the sweep, plain make."""
    numbers = f"NUMBERS={' '.join(str(number) for number in range(1, VARIANTS + 1))}"
    ours = ["make", f"-j{MACHINES}", "on-each-ec2-sweep", numbers]
    called(ours, root, environ)  # launches them
    found = json.loads(called(["ec2tasks", "ls", "--json"], root, environ))
    hosts = " ".join(f"{one['user']}@{one['address']}" for one in found)
    plain = ["make", f"-j{MACHINES}", "plain", numbers, f"HOSTS={hosts}", f"SSH={SSH.format(home=home)}"]
    sweep_times, plain_times = [], []
    for _ in range(rounds):
        plain_times.append(timed(lambda: called(plain, root, environ), root))
        sweep_times.append(timed(lambda: called(ours, root, environ), root))
    return statistics.median(sweep_times), statistics.median(plain_times)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="ec2-bench-", dir="/tmp") as folder:
        home, root = Path(folder), Path(folder) / "bench"
        home.chmod(0o755)
        root.mkdir()
        (root / "Makefile").write_text(MAKEFILE, encoding="utf-8")
        shutil.copy(Path(__file__).parents[1] / "templates" / "Makefile.inc", root)
        environ = environment(home)
        try:
            sweep, plain = measure(root, home, environ, rounds)
            print(f"{VARIANTS} variants of a second on {MACHINES} machines, medians of {rounds} in seconds")
            print(f"  on-each-ec2-sweep   {sweep:6.2f}, {(sweep - plain) / VARIANTS:+.2f} a variant")
            print(f"  plain make -j       {plain:6.2f}")
        finally:
            subprocess.run(["ec2tasks", "local.down"], env=environ, capture_output=True)


if __name__ == "__main__":
    main()
