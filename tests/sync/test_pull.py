"""What comes from there: placed only when it is whole, whatever is cut, killed, replaced or closed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.repository import REPO
from support.two_sides import OWN, Sides, contents, put, snapshot

from ec2tasks.base import project_dir as own_folder
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.remote.job import new_job_id
from ec2tasks.sync import pull as incoming
from ec2tasks.sync.engine import SyncOptions, sync_files
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


def pull(sides: Sides, live: LivePull | None = None) -> str:
    """Pull; what is said where that fails."""
    try:
        sides.sync(push=False, live=live)
    except Failure as failure:
        return failure.what
    return ""


def between_looks(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do this while a fetch beside a command waits to see what stands still."""
    monkeypatch.setattr(incoming, "time", SimpleNamespace(sleep=lambda _seconds: act()))


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
    pull(sides, LivePull())
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


def test_what_a_sync_has_started_holds_its_lock(tmp_path: Path) -> None:
    with own_folder.sync_lock(tmp_path) as lock:
        tool = Tools(held=(lock,)).start(["cat"], stdin=subprocess.PIPE)
    with (tmp_path / OWN / "lock").open("w") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tool.communicate()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that can't be written into, not even by root."""
    change = (
        (["chattr", "+i"], ["chattr", "-i"]) if os.geteuid() == 0 else (["chmod", "a-w"], ["chmod", "u+w"])
    )
    if subprocess.run([*change[0], folder], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("root may write everywhere on this file system")
    try:
        yield
    finally:
        subprocess.run([*change[1], folder], check=True)


@pytest.mark.parametrize("beside", [True, False], ids=["beside a command", "at the end"])
def test_a_path_that_can_t_be_written_here_keeps_out_nothing_else(
    beside: bool, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, lambda: None)
    put(sides.local / "cache/x", "file base")
    sides.sync()
    put(sides.remote / "cache/x", "file theirs")
    put(sides.remote / "cache/y", "file new")
    put(sides.remote / "results/model", "file dear")
    with closed(sides.local / "cache"):
        said = pull(sides, LivePull() if beside else None)
        assert (sides.local / "results/model").read_text() == "dear"
        assert "`cache/x` can't be written here" in said
        assert "(and 1 more)" in said
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)


def test_a_path_may_become_another_thing_again_and_again_in_one_run(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, lambda: None)
    put(sides.local / "it", "file base")
    sides.sync()
    job_id = new_job_id()
    for name, what in [
        ("it", "file first"),
        ("it", "folder second"),
        ("it/inner", "file third"),
        ("it/inner", "folder fourth"),
        ("it/inner/inner", "file fifth"),
    ]:
        put(sides.remote / name, what)
        sync_files(sides.local, sides.way(), job_id, Tools(), SyncOptions(pull=True, live=LivePull()))
        assert snapshot(sides.local) == snapshot(sides.remote)
    assert {"file base", "file second", "file fourth"} <= contents(sides.local)
