"""The script that holds a session, run here as an instance would run it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.instance_scripts import instance_script_argv

from ec2tasks.remote.session import Leaving, handover, parse_leaving


class Client:
    """One client's session.sh."""

    def __init__(self, home: Path, end: str, job_id: str) -> None:
        argv = instance_script_argv("session.sh", end, job_id, "shop")
        self.process = subprocess.Popen(
            argv,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def join(self, **files: str) -> str:
        self.send(handover(files))
        return self.answer()

    def send(self, text: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()

    def leave(self) -> str:
        self.send(b"leave\n")
        return self.answer()

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def clients(home: Path) -> Iterator[ClientMaker]:
    with ExitStack() as stack:
        yield ClientMaker(home, stack)


class ClientMaker:
    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home, self.stack, self.count = home, stack, 0

    def __call__(self, end: str = "terminate", **files: str) -> Client:
        """A client that has joined."""
        self.count += 1
        client = Client(self.home, end, f"run{self.count}")
        self.stack.callback(client.end)
        assert client.join(**files).startswith("joined ")
        return client


def test_alone_a_client_is_the_last(clients: ClientMaker) -> None:
    client = clients("stop")
    assert client.leave() == "last stop"


def test_with_others_there_it_is_not_and_the_last_one_is(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("leave")
    assert first.leave() == "others"
    assert second.leave() == "last leave"


def test_the_later_end_counts_whoever_leaves_last(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("leave")
    assert second.leave() == "others"
    second.end()
    assert first.leave() == "last leave"


def test_a_client_that_asks_for_nothing_leaves_the_others_end_standing(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("keep")
    assert first.leave() == "others"
    first.end()
    assert second.leave() == "last terminate"


def test_an_end_is_forgotten_once_it_was_applied(clients: ClientMaker) -> None:
    first = clients("stop")
    assert first.leave() == "last stop"
    first.end()
    second = clients("keep")
    assert second.leave() == "last -"


def test_a_client_that_dies_stops_counting(clients: ClientMaker) -> None:
    first, second = clients(), clients()
    second.process.kill()
    second.process.wait()
    assert first.leave() == "last terminate"


def test_files_arrive_as_they_are_and_are_the_user_s_alone(clients: ClientMaker, home: Path) -> None:
    text = 'it\'s "$x"\n\ttwo lines ☃'
    clients(command=text)
    path = home / ".ec2tasks" / "runs" / "run1" / "command"
    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert (home / "shop").is_dir()


def test_an_end_that_a_dead_client_left_is_not_asked_for_any_more(clients: ClientMaker) -> None:
    dead = clients("terminate")
    dead.process.kill()
    dead.process.wait()
    assert clients("keep").leave() == "last -"


def test_a_command_that_ended_after_the_fetch_began_is_unfetched(clients: ClientMaker, home: Path) -> None:
    client = clients("terminate")
    runs = home / ".ec2tasks" / "runs"
    (runs / "before").mkdir()
    (runs / "before" / "ended").touch()
    client.send(b"fetching\n")
    until_there(runs / "run1" / "fetching")
    (runs / "meanwhile").mkdir()
    (runs / "meanwhile" / "ended").touch()
    # Of the same tick of the kernel's clock, at worst.
    shutil.copystat(runs / "run1" / "fetching", runs / "meanwhile" / "ended")
    assert client.leave() == "last terminate unfetched"
    client.end()
    again = clients("terminate")
    again.send(b"fetching\n")
    until_there(runs / "run2" / "fetching")
    assert again.leave() == "last terminate"


def test_who_only_looks_leaves_the_mark_of_the_fetch(clients: ClientMaker, home: Path) -> None:
    mark = home / ".ec2tasks" / "folders" / "shop" / "fetched"
    first = clients("terminate")
    first.send(b"leave fetched\n")
    assert first.answer() == "last terminate"
    first.end()
    looking = clients("look")
    assert looking.leave() == "last -"
    assert mark.exists()
    looking.end()
    clients("keep")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("last terminate", Leaving(last=True, final_state="terminate")),
        ("last -", Leaving(last=True, final_state=None)),
        ("last stop unfetched", Leaving(last=True, final_state="stop", unfetched=True)),
        ("last - left=tmux", Leaving(last=True, left="tmux")),
        ("last - unfetched left=tmux", Leaving(last=True, unfetched=True, left="tmux")),
        ("last - elsewhere=YSBiL2M=", Leaving(last=True, elsewhere="a b/c")),
        ("last leave untold=r1,r2", Leaving(last=True, final_state="leave", untold=("r1", "r2"))),
        ("others", Leaving(last=False)),
        ("others run=r1", Leaving(last=False, run="r1")),
        ("", None),
        ("bash: no such thing", None),
    ],
)
def test_the_answer_to_who_leaves(answer: str, meant: Leaving | None) -> None:
    assert parse_leaving(answer.split()) == meant


def test_each_folder_is_marked_by_who_fetches_it_whatever_the_others_hold(
    clients: ClientMaker, home: Path
) -> None:
    folders = home / ".ec2tasks" / "folders"
    (folders / "an%other").mkdir(parents=True)
    client = clients("terminate")
    client.send(b"leave fetched\n")
    assert parse_leaving(client.answer().split()) == Leaving(
        last=True, final_state="terminate", elsewhere="an/other"
    )
    assert (folders / "shop" / "fetched").exists()
    client.end()
    (folders / "an%other" / "fetched").touch()
    assert clients("terminate").leave() == "last terminate"


def test_a_command_whose_end_nobody_saw_is_named(clients: ClientMaker, home: Path) -> None:
    client = clients("terminate")
    for name, told in (("a", True), ("b", False), ("c", False)):
        folder = home / ".ec2tasks" / "runs" / name
        folder.mkdir()
        (folder / "exit").write_text("1\n")
        if told:
            (folder / "told").touch()
    assert client.leave() == "last terminate untold=b,c"


def test_who_watches_is_nobody_that_others_wait_for(clients: ClientMaker) -> None:
    watching, working = clients("watch"), clients("terminate")
    assert working.leave() == "last terminate"
    assert watching.leave() == "others"


def until_there(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
