"""What comes from there: placed only when it is whole, whatever is cut, killed, replaced or closed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.repository import REPO
from support.two_sides import OWN, Sides, between_looks, pull_failure, put

from ec2tasks.base.errors import Failure
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.pull import LivePull

SIZE = 4_000_000
OLD, NEW, NEWER = (os.urandom(SIZE) for _ in range(3))
PULLS = 'case "$*" in *--sender*) {} ;; esac\nexec sh -c "$*"'  # what happens as a transfer to here begins
# The way from there dies after so many bytes, as ssh does when the network goes.
CUT = 'mkfifo o$$; sh -c "$*" <&0 >o$$ & stdbuf -o0 head -c {} <o$$; kill -9 $!; exit 255'


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with one file on both sides."""
    found = Sides(tmp_path)
    put(found.local / "code.py", "file print(1)")
    (found.local / "model").write_bytes(OLD)
    found.sync()
    return found


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        ("true", {NEW}),
        ("mv next model", {NEW, NEWER}),
        (CUT.format(SIZE // 4), {OLD}),
        ("printf more >>model", {OLD}),
        ("rm model", {OLD}),
    ],
    ids=["nothing", "replaced again", "cut", "still being written", "gone"],
)
def test_beside_a_command_a_new_version_is_placed_whole_or_not(
    meanwhile: str, expected: set[bytes], sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sides.remote / "model", "file seen by the comparison")
    (sides.home / "next").write_bytes(NEW)
    between_looks(monkeypatch, lambda: (sides.home / "next").replace(sides.remote / "model"))
    (sides.home / "newer").write_bytes(NEWER)
    (sides.local / OWN / "incoming").mkdir(exist_ok=True)
    (sides.local / OWN / "incoming" / "model").write_bytes(NEW[: SIZE // 2])  # of an earlier one that was cut
    meanwhile = meanwhile.replace("next model", "newer project/model")
    for deed in (">>", "rm "):
        meanwhile = meanwhile.replace(f"{deed}model", f"{deed}project/model")
    sides.use_shell(PULLS.format(meanwhile))
    pull_failure(sides, LivePull())
    assert (sides.local / "model").read_bytes() in expected


def test_a_big_file_goes_on_where_it_was_cut_whichever_way_the_next_sync_goes(sides: Sides) -> None:
    big, staged = sides.remote / "big", sides.local / OWN / "incoming" / "big"
    big.write_bytes(os.urandom(3 * SIZE))
    put(sides.local / OWN / "incoming" / "stale", "file that nobody wants any more")
    sizes: list[int] = []
    for push, pull in ((False, True), (True, True), (True, False), (True, True)):
        sides.use_shell(PULLS.format(CUT.format(SIZE // 2)))
        put(sides.local / "code.py", f"file print({len(sizes)})")
        with contextlib.suppress(Failure):
            sides.sync(push=push, pull=pull)
        sizes.append(staged.stat().st_size)
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3] < big.stat().st_size
    assert [one.name for one in staged.parent.iterdir()] == ["big"]
    sides.use_shell('exec sh -c "$*"')
    sides.sync()
    assert (sides.local / "big").read_bytes() == big.read_bytes()
    assert not staged.parent.exists()


CLIENT = """
import sys
from pathlib import Path
from support.two_sides import Sides
Sides.use_shell = lambda *_: None
Sides(Path(sys.argv[1])).sync(push=False)
"""


def wait_until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rsyncs(parent: int) -> list[str]:
    said = subprocess.run(["pgrep", "-P", str(parent), "-x", "rsync"], stdout=subprocess.PIPE, check=False)
    return said.stdout.decode().split()


def alive(pid: str) -> bool:
    return subprocess.run(["ps", "-p", pid], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.slow
def test_rsync_does_not_outlive_a_killed_client(sides: Sides) -> None:
    (sides.remote / "model").write_bytes(NEW)
    stall = f"{{ stdbuf -o0 head -c {SIZE // 2}; while [ ! -e go ]; do sleep 0.02; done; cat; }}"
    sides.use_shell(PULLS.format(f'sh -c "$*" | {stall}'))
    environ = {**os.environ, "PYTHONPATH": f"{REPO / 'tests'}:{REPO}"}
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(sides.local.parent)], env=environ)
    wait_until(lambda: (sides.local / OWN / "incoming" / "model").exists())
    (orphan,) = rsyncs(client.pid)
    try:
        client.send_signal(signal.SIGKILL)
        client.wait()
        # It hears nothing any more, as where the network is gone.
        wait_until(lambda: not alive(orphan))
    finally:
        (sides.home / "go").touch()
    (sides.home / "next").write_bytes(NEWER)
    (sides.home / "next").replace(sides.remote / "model")
    sides.use_shell('exec sh -c "$*"')
    sides.sync(push=False)
    assert (sides.local / "model").read_bytes() == NEWER
    assert sides.differences() == []


def test_of_many_new_files_only_what_moves_them_is_done_for_each(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counter[str]()

    def count(what: str, real: Callable[..., Any], *some: object, **more: object) -> object:
        counted[what] += 1
        return real(*some, **more)

    asks = Baseline._rows
    monkeypatch.setattr(Baseline, "_rows", lambda *some: count("questions", asks, *some))
    monkeypatch.setattr(os, "open", partial(count, "opened", os.open))
    found = []
    for files in (40, 400):
        for number in range(files):
            put(sides.remote / f"out{files}/d{number % 4}/f{number}", "file x")
        counted.clear()
        sides.sync()
        assert len(list((sides.local / f"out{files}").rglob("f*"))) == files
        found.append(dict(counted))
    assert found[0] == found[1]
