"""The script that holds a session, run here as an instance would run it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from support.instance_scripts import instance_script_argv
from support.ports import free_port
from support.waiting import until

from ec2tasks.base.final_state import FinalState
from ec2tasks.remote.notice import EndReason, Notice, read_notice, say_stalled
from ec2tasks.remote.protocol import ProtocolError, bash_argv, message_line, read_message
from ec2tasks.remote.session import Departure, read_departure, read_running, scripts_text

FINAL_STATES = {state.value for state in FinalState}


class Client:
    """One client's session.sh."""

    def __init__(self, home: Path, end: str, job_id: str) -> None:
        mode = None if end in FINAL_STATES else end
        final_state = end if end in FINAL_STATES else None
        argv = [
            word.replace("/run/ec2tasks-guard", f"{home.parent}/guard")
            for word in instance_script_argv(
                "session.sh", job=job_id, folder="shop", mode=mode, final_state=final_state
            )
        ]
        self.process = subprocess.Popen(
            argv,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def join(self, **files: str) -> str:
        for name, text in files.items():
            self.send(message_line("file", name=name, body=text))
        self.send(b"start\n")
        return self.answer()

    def send(self, text: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip().replace(" version=1", "")

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
        self.answer = client.join(**files)
        assert self.answer.startswith("joined ")
        return client

    def joined(self) -> str:
        """What one more client is told when it joins."""
        self()
        return self.answer.replace("joined", "joined version=1")


def test_alone_a_client_is_the_last(clients: ClientMaker) -> None:
    client = clients("stop")
    assert client.leave() == "last final_state=stop"


def test_with_others_there_it_is_not_and_the_last_one_is(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("leave")
    assert first.leave() == "others"
    assert second.leave() == "last final_state=leave"


def test_the_later_end_counts_whoever_leaves_last(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("leave")
    assert second.leave() == "others"
    second.end()
    assert first.leave() == "last final_state=leave"


def test_a_client_that_asks_for_nothing_leaves_the_others_end_standing(clients: ClientMaker) -> None:
    first, second = clients("terminate"), clients("work")
    assert first.leave() == "others"
    first.end()
    assert second.leave() == "last final_state=terminate"


def test_an_end_is_forgotten_once_it_was_applied(clients: ClientMaker) -> None:
    first = clients("stop")
    assert first.leave() == "last final_state=stop"
    first.end()
    second = clients("work")
    assert second.leave() == "last"


def test_a_client_that_dies_stops_counting(clients: ClientMaker) -> None:
    first, second = clients(), clients()
    second.process.kill()
    second.process.wait()
    assert first.leave() == "last final_state=terminate"


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
    assert clients("work").leave() == "last"


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
    assert client.leave() == "last final_state=terminate unfetched=yes"
    client.end()
    again = clients("terminate")
    again.send(b"fetching\n")
    until_there(runs / "run2" / "fetching")
    assert again.leave() == "last final_state=terminate"


def test_who_only_looks_leaves_the_mark_of_the_fetch(clients: ClientMaker, home: Path) -> None:
    mark = home / ".ec2tasks" / "folders" / "shop" / "fetched"
    first = clients("terminate")
    first.send(b"leave fetched=yes\n")
    assert first.answer() == "last final_state=terminate"
    first.end()
    looking = clients("look")
    assert looking.leave() == "last"
    assert mark.exists()
    looking.end()
    clients("work")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("fields", "departure"),
    [
        ("last final_state=terminate", Departure(last=True, final_state=FinalState.TERMINATE)),
        ("last", Departure(last=True)),
        ("last unfetched=yes left=tmux", Departure(last=True, unfetched=True, left="tmux")),
        ("last elsewhere=base64:YSBiL2M=", Departure(last=True, elsewhere="a b/c")),
        ("last untold=r1,r2 colour=blue", Departure(last=True, untold=("r1", "r2"))),
        ("others", Departure(last=False)),
        ("others job=r1", Departure(last=False, job_id="r1")),
    ],
)
def test_the_answer_to_who_leaves(fields: str, departure: Departure) -> None:
    assert departure_of(fields) == departure


def departure_of(answer: str) -> Departure:
    verb, _, fields = answer.partition(" ")
    message = read_message(f"{verb} version=1 {fields}", "last", "others")
    assert message
    return read_departure(message)


def test_a_final_state_that_is_not_known_is_an_error_that_names_it() -> None:
    with pytest.raises(ProtocolError, match="`final_state=hibernate`"):
        departure_of("last final_state=hibernate")


@pytest.mark.parametrize("missing", ["job", "folder"])
def test_a_client_that_does_not_say_what_is_needed_is_told_so(home: Path, missing: str) -> None:
    fields: dict[str, str] = {"job": "r", "folder": "shop"}
    fields.pop(missing)
    argv = instance_script_argv("session.sh", **fields)
    done = subprocess.run(argv, env={"HOME": str(home)}, capture_output=True, text=True, input="start\n")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"`{missing}`" in done.stderr
    assert not (home / ".ec2tasks").exists()


def test_what_the_session_does_not_know_it_ignores(home: Path) -> None:
    argv = instance_script_argv("session.sh", job="r", folder="shop", colour="blue")
    said = b"file name=a body=1 mode=x\nstart\nwhistle loud=yes\nleave fetched=yes speed=3\n"
    done = subprocess.run(
        argv, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, input=said
    )
    assert done.stdout.decode().splitlines() == [
        f"joined version=1 home={home} guarded=yes",
        "last version=1",
    ]
    assert (home / ".ec2tasks" / "folders" / "shop" / "fetched").exists()


def test_each_folder_is_marked_by_who_fetches_it_whatever_the_others_hold(
    clients: ClientMaker, home: Path
) -> None:
    folders = home / ".ec2tasks" / "folders"
    (folders / "an%other").mkdir(parents=True)
    client = clients("terminate")
    client.send(b"leave fetched=yes\n")
    answer = departure_of(client.answer())
    assert answer == Departure(last=True, final_state=FinalState.TERMINATE, elsewhere="an/other")
    assert (folders / "shop" / "fetched").exists()
    client.end()
    (folders / "an%other" / "fetched").touch()
    assert clients("terminate").leave() == "last final_state=terminate"


def test_a_command_whose_end_nobody_saw_is_named(clients: ClientMaker, home: Path) -> None:
    client = clients("terminate")
    for name, told in (("a", True), ("b", False), ("c", False)):
        folder = home / ".ec2tasks" / "runs" / name
        folder.mkdir()
        (folder / "exit").write_text("1\n")
        if told:
            (folder / "told").touch()
    assert client.leave() == "last final_state=terminate untold=b,c"


def test_what_runs_is_told_with_whether_anybody_sees_it(clients: ClientMaker, home: Path) -> None:
    clients()  # whose job `run1` runs, and is seen by it
    runs = home / ".ec2tasks" / "runs"
    with ExitStack() as held:
        for name, held_files in {
            "run1": ["alive"],
            "left": ["alive"],
            "followed": ["alive", "watched"],
            "lost": [],
            "over": ["alive"],
            "shell": ["alive"],
        }.items():
            (runs / name).mkdir(exist_ok=True)
            (runs / name / "started").touch()
            (runs / name / "alive").touch()
            if name != "shell":
                (runs / name / "command").write_text("make serve\nsecond line")
            for file in held_files:
                kind = fcntl.LOCK_EX if file == "alive" else fcntl.LOCK_SH
                fcntl.flock(held.enter_context((runs / name / file).open("w")), kind)
        (runs / "over" / "exit").write_text("0\n")
        told = read_message(clients.joined(), "joined")
    assert told
    found = {job.name.job_id: job for job in read_running(told.get("running", str, ""))}
    assert {name: job.seen for name, job in found.items()} == {
        "run1": True,
        "left": False,
        "followed": True,
        "shell": False,
    }
    assert (found["left"].name.title, found["shell"].name.title) == ("make serve", "(shell)")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("a no make serve", ["make serve"]),
        ("a no", ["(shell)"]),
        ("../x no make serve\n\nb yes # notebook", ["notebook"]),
        ("\n".join(f"j{number} no" for number in range(200)), ["(shell)"] * 50),
    ],
)
def test_what_is_no_job_is_not_told_of(text: str, names: list[str]) -> None:
    assert [job.name.title for job in read_running(text)] == names


def test_who_watches_is_nobody_that_others_wait_for(clients: ClientMaker) -> None:
    watching, working = clients("watch"), clients("terminate")
    assert working.leave() == "last final_state=terminate"
    assert watching.leave() == "others"


def until_there(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def guard_says(home: Path, ends_in: str, because: str) -> None:
    folder = home.parent / "guard"
    folder.mkdir(exist_ok=True)
    (folder / "new").write_text(f"armed 1\nends_in {ends_in}\nbecause {because}\n")
    (folder / "new").replace(folder / "state")


def test_max_hours_is_announced_once_and_taken_back_where_it_was_raised(
    clients: ClientMaker, home: Path
) -> None:
    guard_says(home, "3600", "max_hours")
    client = clients()
    for ends_in, because, told in (
        ("3600", "max_hours", None),
        ("-", "idle_stop counts once nobody is on it", None),
        ("100", "idle_stop: nobody is on it", None),
        ("120", "max_hours", "notice reason=max_hours seconds=120"),
        ("60", "max_hours", None),
        ("7200", "max_hours", "notice"),
        ("90", "max_cost", "notice reason=max_cost seconds=90"),
        ("3600", "max_hours", "notice"),
        ("0", "max_hours", "notice reason=max_hours seconds=0"),
    ):
        guard_says(home, ends_in, because)
        client.send(b"alive\n")
        if told:
            assert client.answer() == told
    assert client.leave().startswith("last")


def test_commands_that_do_nothing_are_told_of_once_and_again_after_they_did_something(
    clients: ClientMaker, home: Path
) -> None:
    client, stalled = clients(), "stalled_stop: nothing done for {} min"
    for ends_in, because, told in (
        ("3600", stalled.format(60), "stalled seconds=3600 minutes=60"),
        ("3500", stalled.format(61), None),
        ("-", "idle_stop counts once nobody is on it", None),
        ("3590", stalled.format(60), "stalled seconds=3590 minutes=60"),
        ("100", stalled.format(118), "notice reason=stalled_stop seconds=100"),
        ("-", "idle_stop counts once nobody is on it", "notice"),
    ):
        guard_says(home, ends_in, because)
        client.send(b"fetching\n")
        if told:
            assert client.answer() == told
        # It has looked at what the guard says by now.
        until(lambda: bool(list(home.glob(".ec2tasks/runs/*/fetching"))), "its look")
        for path in home.glob(".ec2tasks/runs/*/fetching"):
            path.unlink()
    assert client.leave().startswith("last")


def serving(stack: ExitStack, job_id: str, port: int) -> None:
    """A server of that job's, which listens by now."""
    listen = f"import socket; s = socket.create_server(('127.0.0.1', {port}))"
    serve = f"{listen}; print('there', flush=True); input()"
    process = stack.enter_context(
        subprocess.Popen(
            ["python3", "-c", serve],
            env={**os.environ, "EC2TASKS_RUN": job_id},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    )
    stack.callback(process.communicate, b"\n")
    assert process.stdout
    assert process.stdout.readline() == b"there\n"


def test_a_server_of_the_job_that_is_followed_is_told_once(clients: ClientMaker) -> None:
    client = clients()
    with ExitStack() as stack:
        for job_id, port in (("run1", 0), ("run1", own := free_port()), ("other", others := free_port())):
            serving(stack, job_id, port)
        client.send(b"alive\n")
        assert client.answer().startswith(f"serves port={own} program=python")
        client.send(b"follows job=other\nalive\n")
        assert client.answer().startswith(f"serves port={others} ")
        client.send(b"alive\n")
        assert client.leave().startswith("last")


def test_what_was_fetched_beside_a_command_is_told_the_guard_as_of_the_fetch_s_begin(
    clients: ClientMaker, home: Path
) -> None:
    client, pulled = clients(), home / ".ec2tasks" / "folders" / "shop" / "pulled"
    client.send(b"pulled\nfetching\n")
    until(lambda: bool(list(home.glob(".ec2tasks/runs/*/fetching"))), "it has heard")
    assert not pulled.exists()
    before = int(Path("/proc/uptime").read_text().split(".")[0])
    client.send(b"pulling\npulled\n")
    assert client.leave().startswith("last")
    begun, done = map(int, pulled.read_text().split())
    assert before <= begun <= done


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seconds=3600 minutes=61", "idle for 61 min: stalled_stop stops the instance at 13:00 unless"),
        ("seconds=x minutes=61", ""),
        ("", ""),
    ],
)
def test_that_commands_do_nothing_is_said(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = read_message(f"stalled version=1 {line}".strip(), "stalled")
    assert message
    say_stalled(message, now=datetime(2026, 11, 1, 12).astimezone())
    err = capsys.readouterr().err
    assert said in err
    assert bool(said) == bool(err)


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("reason=spot time=2026-11-01T12:00:00Z", Notice(reason=EndReason.SPOT, at="2026-11-01T12:00:00Z")),
        ("time=2026-11-01T12:00:00Z", Notice(reason=EndReason.SPOT, at="2026-11-01T12:00:00Z")),
        ("reason=max_hours seconds=90", Notice(reason=EndReason.MAX_HOURS, at="12:01:30")),
        ("reason=max_hours", Notice(reason=EndReason.MAX_HOURS, at="any moment")),
        ("", None),
    ],
)
def test_a_notice_says_why_and_when(line: str, notice: Notice | None) -> None:
    message = read_message(f"notice version=1 {line}".strip(), "notice")
    assert message
    assert read_notice(message, now=datetime(2026, 11, 1, 12).astimezone()) == notice


@pytest.mark.parametrize(
    "words", ["reason=whim", "reason=max_hours seconds=-1", f"time=x seconds={'9' * 40}"]
)
def test_a_notice_that_cannot_be_read_is_an_error(words: str) -> None:
    message = read_message(f"notice version=2 {words}", "notice")
    assert message
    with pytest.raises(ProtocolError, match=r"reason|seconds"):
        read_notice(message)


SCRIPTS = {"runner.sh": "echo 'it''s' \"$1\" \\\n%s\n", "job.sh": "é\n"}


def test_scripts_come_as_they_are_with_the_session_s_own(home: Path) -> None:
    argv = bash_argv("session.sh", job="r", folder="shop", before=scripts_text(SCRIPTS))
    client = subprocess.Popen(
        argv,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = client.communicate(b"start\nleave\n", timeout=60)
    assert out.startswith(b"joined ")
    for name, text in SCRIPTS.items():
        assert (home / ".ec2tasks" / "runs" / "r" / name).read_text() == text
