"""A command belongs to the instance: whatever becomes of its client and their connection, nothing is lost."""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.background import Client, start
from support.local_ec2 import faults, until_state
from support.ports import free_port
from support.project import ScratchProject, other_machine
from support.terminal import Terminal
from support.waiting import until

from ec2tasks.ssh.ports import check_ports_free

COUNT = "for n in $(seq 400); do echo $n; echo e$n >&2; sleep 0.02; done; exit 9"
WAIT = "echo here; until [ -e ~/go-on ]; do sleep 0.05; done; rm ~/go-on; echo gone; exit 3"
CAUGHT = "trap 'echo caught' INT; echo here; until [ -e ~/go-on ]; do sleep 0.05; done; rm ~/go-on; exit 4"
NUMBERS = "".join(f"{n}\n" for n in range(1, 401))


@pytest.fixture(autouse=True)
def mended(warm: ScratchProject) -> Iterator[None]:
    yield
    faults(warm)


def there(project: ScratchProject, command: str) -> str:
    """Do something on the instance, beside what runs there."""
    said = project.ec2tasks("run", "--leave", "--no-rsync", command)
    assert said.code == 0, said.err
    return said.out


def begin(project: ScratchProject, *words: str) -> Client:
    """A client whose command has said its first line."""
    client = start(project, "ec2tasks", *words)
    assert client.line() == "here"
    return client


def jobs(project: ScratchProject) -> list[dict[str, Any]]:
    said = project.ec2tasks("jobs", "--json")
    assert said.code == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def drop(project: ScratchProject, client: Client) -> None:
    """Reset all connections, and wait until this client's has come back."""
    before = "".join(client.err).count("connected again")
    faults(project, drop_ssh=True)
    until(lambda: "".join(client.err).count("connected again") > before, "connected again")


def test_every_byte_comes_once_over_connections_that_drop(warm: ScratchProject) -> None:
    client = start(warm, "ec2tasks", "run", COUNT)
    for shown in (1, 60, 120, 180):
        until(lambda: client.prints(str(shown)), f"line {shown}")  # noqa: B023  # asked at once
        drop(warm, client)
    said = client.end()
    assert (said.code, said.out) == (9, NUMBERS), said.err
    assert re.findall(r"^e(\d+)$", said.err, re.MULTILINE) == NUMBERS.split()
    assert said.err.count("connection lost") == said.err.count("connected again") == 4


def test_a_connection_that_died_in_silence_is_left_for_another(warm: ScratchProject) -> None:
    client = begin(warm, "run", WAIT)
    # The kept connection stands, and carries nothing any more, as after a change of network.
    there(warm, "kill -STOP $(ps -o ppid= -p $(pgrep -f '[s]ession.sh' | head -1) | tr -d ' ')")
    assert there(warm, "touch ~/go-on; echo done") == "done\n"
    said = client.end()
    assert (said.code, said.out) == (3, "here\ngone\n"), said.err
    assert "connected again" in said.err
    # The end of life was decided with a session.
    assert "could not be asked" not in said.err


def test_a_killed_client_s_command_goes_on_and_is_finished_elsewhere(
    warm: ScratchProject, tmp_path: Path
) -> None:
    client = begin(warm, "run", "--stop", f"{WAIT.replace('exit 3', 'echo kept > kept; exit 3')}")
    client.signal(signal.SIGKILL)
    client.end()
    other = other_machine(warm, tmp_path)
    other.root = tmp_path / "other" / warm.root.name
    other.root.mkdir()
    other.environ["AWS_NAME_INSTANCE"] = "warm-warm"
    looking = begin(other, "finish", "--leave")
    there(warm, "touch ~/go-on")
    said = looking.end()
    assert (said.code, said.out) == (3, "here\ngone\n"), said.err
    assert other.read("kept") == "kept\n"


def test_a_client_that_slept_goes_on_where_it_was(warm: ScratchProject) -> None:
    client = begin(warm, "run", WAIT)
    client.signal_all(signal.SIGSTOP)
    faults(warm, drop_ssh=True)
    there(warm, "touch ~/go-on; while [ -e ~/go-on ]; do sleep 0.05; done")
    client.signal_all(signal.SIGCONT)
    said = client.end()
    assert (said.code, said.out) == (3, "here\ngone\n"), said.err


def test_input_arrives_whole_over_connections_that_drop(warm: ScratchProject) -> None:
    data = random.Random(1).randbytes(6_000_000)  # noqa: S311  # no secret
    pause = "until [ -e ~/go-on ]; do sleep 0.05; done; rm ~/go-on"
    command = f"echo here; (head -c 2000000; echo some >&2; {pause}; cat) | sha256sum"
    client = start(warm, "ec2tasks", "run", command, stdin=data)
    assert client.line() == "here"
    drop(warm, client)
    until(lambda: client.says("some"), "a part of it")
    drop(warm, client)
    there(warm, "touch ~/go-on")
    said = client.end()
    assert said.code == 0, said.err
    assert said.out.split()[1] == hashlib.sha256(data).hexdigest(), said.err
    assert said.err.count("connection lost") == 2


@pytest.mark.parametrize(
    ("number", "times", "code"), [("SIGINT", 2, 130), ("SIGTERM", 1, 143), ("SIGHUP", 1, 129)]
)
def test_a_client_that_is_told_to_go_leaves_its_command(
    number: str, times: int, code: int, warm: ScratchProject
) -> None:
    client = begin(warm, "run", CAUGHT)
    client.signal(getattr(signal, number))
    if times > 1:
        assert client.line() == "caught"
        client.signal(getattr(signal, number))
    said = client.end()
    assert said.code == code, said.err
    assert said.err.count("`ec2tasks attach`") == 1
    assert jobs(warm)[0]["state"] == "running"
    there(warm, "touch ~/go-on")
    again = warm.ec2tasks("finish", "--leave")
    # What was shown is not shown again.
    assert (again.code, said.out + again.out) == (4, "here\n" + "caught\n" * (number == "SIGINT")), again.err


def test_attach_goes_on_where_the_output_was_left_here_and_begins_at_its_start_elsewhere(
    warm: ScratchProject, tmp_path: Path
) -> None:
    seen: list[str] = []
    words: tuple[str, ...] = ("run", COUNT)
    for number in ("90", "180"):
        client = start(warm, "ec2tasks", *words)
        until(lambda: client.prints(number), number)  # noqa: B023  # called at once
        client.signal(signal.SIGTERM)
        said = client.end()
        assert said.code == 143, said.err
        seen.append(said.out)
        words = ("attach",)
    rest = warm.ec2tasks("finish", "--leave")
    assert (rest.code, "".join([*seen, rest.out])) == (9, NUMBERS), rest.err
    for again, out in (("finish", ""), ("attach", ""), ("attach --all", NUMBERS)):
        said = warm.ec2tasks(*again.split())
        assert (said.code, said.out) == (9, out), said.err
    other = other_machine(warm, tmp_path)
    said = other.ec2tasks("attach")
    assert (said.code, said.out) == (9, NUMBERS), said.err
    assert "e400" in said.err.splitlines()


def test_a_stop_under_a_command_is_told(local_project: ScratchProject) -> None:
    client = begin(local_project, "run", "echo here; sleep 600")
    found = local_project.status() or {}
    assert local_project.ec2tasks("logs").out == "here\n"
    assert local_project.ec2tasks("down", "--stop", "--no-rsync").code == 0
    said = client.end()
    assert said.code == 125
    assert "is stop" in said.err
    assert "is lost" in said.err
    until_state(local_project, "stopped")
    for task in ("jobs", "logs"):
        asked = local_project.ec2tasks(task)
        assert asked.code == 125
        assert "is stopped" in asked.err
        assert "`ec2tasks up`" in asked.err
    assert local_project.ec2tasks("up").code == 0
    assert (local_project.status() or {})["id"] == found["id"]
    assert [one["state"] for one in jobs(local_project)][-1] == "lost"
    again = local_project.ec2tasks("attach")
    assert again.code == 125
    assert "restart" in again.err


def test_jobs_lists_what_ran_and_logs_keeps_its_output(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "true").code == 0
    assert warm.ec2tasks("run", "printf 'one\\n'; echo two >&2; exit 5").code == 5
    newest = jobs(warm)[0]
    assert (newest["state"], newest["code"]) == ("ended", 5)
    assert newest["command"].startswith("printf")
    assert newest["started"] <= newest["ended"]
    assert warm.ec2tasks("jobs").out.splitlines()[1].split()[1:3] == ["ended", "5"]
    for words in ((), (newest["job"],), ("-f", newest["job"]), ("--job", newest["job"])):
        said = warm.ec2tasks("logs", *words)
        assert (said.code, said.out, said.err) == (0, "one\n", "two\n")
    assert "no job `nope`" in warm.ec2tasks("logs", "nope").err
    assert "`2` names" in warm.ec2tasks("logs", "2").err


def test_logs_follow_to_the_end(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--detach", "--multi", "none", "--no-rsync", WAIT).code == 0
    client = begin(warm, "logs", "-f")
    there(warm, "touch ~/go-on")
    said = client.end()
    assert (said.code, said.out, said.err) == (0, "here\ngone\n", "")


def test_two_ctrl_c_leave_a_terminal_s_command_and_attach_brings_its_keys_back(terminal: Terminal) -> None:
    sized = 'until [ "$(stty size)" = "20 80" ]; do sleep 0.05; done; echo si""zed'
    command = f'trap "echo cau""ght" INT; stty size; read -p "na""me? " x; echo "[$x]"; {sized}'
    terminal.type(f"ec2tasks run '{command}'; stty -a | grep -o ' echo '")
    terminal.wait_for(r"^name\?")
    assert "30 100" in terminal.screen()
    terminal.key("C-c")
    terminal.wait_for(r"^caught|\?.*caught")
    terminal.key("C-c")
    terminal.wait_for(r"`ec2tasks attach`")
    terminal.wait_for(r"^ echo")
    terminal.resize(90, 25)
    terminal.clear()
    terminal.type("ec2tasks attach --all; echo code $?")
    terminal.wait_for(r"^name\?")
    terminal.type("Ada")
    terminal.wait_for(r"\[Ada\]")
    terminal.resize(80, 20)
    terminal.wait_for(r"^sized")
    terminal.wait_for(r"^code 0")


def test_a_terminal_s_command_survives_a_drop(terminal: Terminal, warm: ScratchProject) -> None:
    terminal.type("ec2tasks run 'tty; read x; echo [$x]; exit 6'; echo code $?")
    terminal.wait_for(r"^/dev/pts/")
    faults(warm, drop_ssh=True)
    terminal.wait_for(r"connected again")
    terminal.type("typed")
    assert "[typed]" in terminal.wait_for(r"^code 6")


def test_a_command_s_ports_come_back(warm: ScratchProject) -> None:
    port = free_port()
    serve = f"echo here; exec 2>/dev/null; timeout --foreground 60 python3 -m http.server {port} >/dev/null"
    client = begin(warm, "run", "-L", f"{port}", serve)

    # From another terminal, for as long as the connection stands.
    also = warm.ec2tasks("ports", f"{free_port()}:localhost:{port}").out.strip()

    def answers() -> bool:
        urls = (f"http://127.0.0.1:{port}/", also)
        asked = [["curl", "-sf", "-o", "/dev/null", url] for url in urls]
        return all(subprocess.run(argv, check=False).returncode == 0 for argv in asked)

    until(answers, "served")
    drop(warm, client)
    until(answers, "served again")
    client.signal(signal.SIGINT)
    assert client.end().code == 130
    check_ports_free([f"{port}:localhost:80"])
