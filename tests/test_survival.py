"""A command belongs to the instance: whatever becomes of its client and their connection, nothing is lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop, Terminal
from test_failures import faults
from test_workflow import finish, instance, start, until

COUNT = "for n in $(seq 400); do echo $n; echo e$n >&2; sleep 0.02; done; exit 9"
WAIT = "echo here; until [ -e ~/go-on ]; do sleep 0.05; done; rm ~/go-on; echo gone; exit 3"
CAUGHT = "trap 'echo caught' INT; echo here; until [ -e ~/go-on ]; do sleep 0.05; done; rm ~/go-on; exit 4"
NUMBERS = "".join(f"{n}\n" for n in range(1, 401))


@pytest.fixture(autouse=True)
def mended(warm: Shop) -> Iterator[None]:
    yield
    faults(warm)


def there(shop: Shop, command: str) -> str:
    """Do something on the instance, beside what runs there."""
    said = shop.ec2tasks("run", "--leave", "--no-rsync", command)
    assert said.code == 0, said.err
    return said.out


def begin(shop: Shop, *words: str) -> subprocess.Popen[str]:
    """A client whose command has said its first line."""
    process = start(shop, "ec2tasks", *words)
    assert process.stdout
    assert process.stdout.readline().strip() == "here", finish(process).err
    return process


def jobs(shop: Shop) -> list[dict[str, Any]]:
    said = shop.ec2tasks("jobs", "--json")
    assert said.code == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def elsewhere(shop: Shop, folder: Path) -> Shop:
    """Another machine of the same user: the same key, nothing else remembered."""
    home = folder / "other"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for name in ("ec2tasks", "ec2tasks.pub"):
        (home / ".ssh" / name).write_bytes((Path(shop.environ["HOME"]) / ".ssh" / name).read_bytes())
        (home / ".ssh" / name).chmod(0o600)
    root = home / shop.root.name
    root.mkdir()
    return Shop(root=root, environ={**shop.environ, "HOME": str(home), "AWS_NAME_INSTANCE": "warm-warm"})


def test_every_byte_comes_once_over_connections_that_drop(warm: Shop) -> None:
    process = start(warm, "ec2tasks", "run", COUNT)

    def drop() -> None:
        for _ in range(4):
            time.sleep(1.2)
            faults(warm, "drop_ssh: true")

    dropping = threading.Thread(target=drop)
    dropping.start()
    said = finish(process)
    dropping.join()
    assert (said.code, said.out) == (9, NUMBERS), said.err
    assert re.findall(r"^e(\d+)$", said.err, re.MULTILINE) == NUMBERS.split()
    assert "connection lost" in said.err
    assert said.err.count("connection lost") == said.err.count("connected again")


def test_a_connection_that_died_in_silence_is_left_for_another(warm: Shop) -> None:
    process = begin(warm, "run", WAIT)
    # The kept connection stands, and carries nothing any more, as after a change of network.
    there(warm, "kill -STOP $(ps -o ppid= -p $(pgrep -f '[s]ession.sh' | head -1) | tr -d ' ')")
    assert there(warm, "touch ~/go-on; echo done") == "done\n"
    said = finish(process)
    assert (said.code, said.out) == (3, "gone\n"), said.err
    assert "connected again" in said.err
    # The end of life was decided with a session.
    assert "could not be asked" not in said.err


def test_a_killed_client_s_command_goes_on_and_is_finished_elsewhere(warm: Shop, tmp_path: Path) -> None:
    process = begin(warm, "run", "--stop", f"{WAIT.replace('exit 3', 'echo kept > kept; exit 3')}")
    process.kill()
    finish(process)
    other = elsewhere(warm, tmp_path)
    looking = begin(other, "finish", "--leave")
    there(warm, "touch ~/go-on")
    said = finish(looking)
    assert (said.code, said.out) == (3, "gone\n"), said.err
    assert other.read("kept") == "kept\n"


def test_a_client_that_slept_goes_on_where_it_was(warm: Shop) -> None:
    process = begin(warm, "run", WAIT)
    os.killpg(process.pid, signal.SIGSTOP)
    faults(warm, "drop_ssh: true")
    there(warm, "touch ~/go-on; sleep 0.5")
    os.killpg(process.pid, signal.SIGCONT)
    said = finish(process)
    assert (said.code, said.out) == (3, "gone\n"), said.err


def test_input_arrives_whole_over_connections_that_drop(warm: Shop) -> None:
    data = random.Random(1).randbytes(6_000_000)  # noqa: S311  # no secret
    process = subprocess.Popen(
        ["ec2tasks", "run", "echo here; (head -c 2000000; sleep 2; cat) | sha256sum"],
        cwd=warm.root,
        env=warm.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def drop() -> None:
        for pause in (2, 1):
            time.sleep(pause)
            faults(warm, "drop_ssh: true")

    dropping = threading.Thread(target=drop)
    dropping.start()
    out, err = process.communicate(data, timeout=100)
    dropping.join()
    assert process.returncode == 0, err
    assert out.decode().split()[1] == hashlib.sha256(data).hexdigest(), err
    assert b"connection lost" in err


@pytest.mark.parametrize(
    ("number", "times", "code"), [("SIGINT", 2, 130), ("SIGTERM", 1, 143), ("SIGHUP", 1, 129)]
)
def test_a_client_that_is_told_to_go_leaves_its_command(
    number: str, times: int, code: int, warm: Shop
) -> None:
    process = begin(warm, "run", CAUGHT)
    for _ in range(times):
        os.kill(process.pid, getattr(signal, number))
        time.sleep(0.5)
    said = finish(process)
    assert said.code == code, said.err
    assert said.err.count("`ec2tasks attach`") == 1
    assert jobs(warm)[0]["state"] == "running"
    there(warm, "touch ~/go-on")
    again = warm.ec2tasks("finish", "--leave")
    assert (again.code, again.out) == (4, "here\n" + "caught\n" * (number == "SIGINT")), again.err


def test_ctrl_c_that_comes_before_the_command_is_not_lost(warm: Shop) -> None:
    process = start(warm, "ec2tasks", "run", "--no-rsync", "--verbose", "sleep 300")
    until(lambda: any(one["command"] == "sleep 300" for one in jobs(warm)), "started")
    os.kill(process.pid, signal.SIGINT)
    assert finish(process).code == 130


def test_a_stop_under_a_command_is_told(local_shop: Shop) -> None:
    process = begin(local_shop, "run", "echo here; sleep 600")
    found = instance(local_shop) or {}
    assert local_shop.ec2tasks("logs").out == "here\n"
    assert local_shop.ec2tasks("down", "--stop", "--no-rsync").code == 0
    said = finish(process)
    assert said.code == 125
    assert "is stop" in said.err
    assert "is lost" in said.err
    until(lambda: (instance(local_shop) or {})["state"] == "stopped", "stopped")
    for task in ("jobs", "logs"):
        asked = local_shop.ec2tasks(task)
        assert asked.code == 125
        assert "is stopped" in asked.err
        assert "`ec2tasks up`" in asked.err
    assert local_shop.ec2tasks("up").code == 0
    assert (instance(local_shop) or {})["id"] == found["id"]
    assert [one["state"] for one in jobs(local_shop)][-1] == "lost"
    again = local_shop.ec2tasks("attach")
    assert again.code == 125
    assert "restart" in again.err


def test_what_ran_is_listed_and_its_output_kept(warm: Shop) -> None:
    assert warm.ec2tasks("run", "printf 'one\\n'; echo two >&2; exit 5").code == 5
    newest = jobs(warm)[0]
    assert (newest["state"], newest["code"]) == ("ended", 5)
    assert newest["command"].startswith("printf")
    assert newest["started"] <= newest["ended"]
    assert warm.ec2tasks("jobs").out.splitlines()[1].split()[:3] == [newest["run"], "ended", "5"]
    for words in ((), (newest["run"],), ("-f", newest["run"]), ("--job", newest["run"])):
        said = warm.ec2tasks("logs", *words)
        assert (said.code, said.out, said.err) == (0, "one\n", "two\n")
    assert "no run `nope`" in warm.ec2tasks("logs", "nope").err
    assert "is the beginning of" in warm.ec2tasks("logs", "2").err


def test_logs_follow_to_the_end(warm: Shop) -> None:
    assert warm.ec2tasks("run", "--detach", "--multi", "none", "--no-rsync", WAIT).code == 0
    process = begin(warm, "logs", "-f")
    there(warm, "touch ~/go-on")
    said = finish(process)
    assert (said.code, said.out, said.err) == (0, "gone\n", "")


def test_two_ctrl_c_leave_a_terminal_s_command_and_attach_brings_its_keys_back(terminal: Terminal) -> None:
    command = 'trap "echo caught" INT; stty size; read -p "na""me? " x; echo [$x]; stty size'
    terminal.type(f"ec2tasks run '{command}'; stty -a | grep -o ' echo '")
    terminal.wait_for(r"^name\?")
    terminal.key("C-c")
    terminal.wait_for(r"caught")
    terminal.key("C-c")
    terminal.wait_for(r"`ec2tasks attach`")
    terminal.wait_for(r"^ echo")
    subprocess.run([*terminal.tmux, "resize-window", "-x", "90", "-y", "25"], check=True)
    terminal.type("clear; ec2tasks attach; echo code $?")
    terminal.wait_for(r"^name\?")
    subprocess.run([*terminal.tmux, "resize-window", "-x", "80", "-y", "20"], check=True)
    time.sleep(1)
    terminal.type("Ada")
    screen = terminal.wait_for(r"^code \d+")
    assert "[Ada]" in screen
    assert "30 100" in screen
    assert "20 80" in screen


def test_a_terminal_s_command_survives_a_drop(terminal: Terminal, warm: Shop) -> None:
    terminal.type("ec2tasks run 'tty; read x; echo [$x]; exit 6'; echo code $?")
    terminal.wait_for(r"^/dev/pts/")
    faults(warm, "drop_ssh: true")
    terminal.wait_for(r"connected again")
    terminal.type("typed")
    assert "[typed]" in terminal.wait_for(r"^code 6")


def test_a_command_s_ports_come_back(warm: Shop) -> None:
    port = random.randint(20000, 30000)  # noqa: S311  # no secret
    serve = f"echo here; exec 2>/dev/null; timeout 60 python3 -m http.server {port} >/dev/null"
    process = begin(warm, "run", "-L", f"{port}", serve)

    def answers() -> bool:
        url = f"http://127.0.0.1:{port}/"
        return subprocess.run(["curl", "-sf", "-o", "/dev/null", url], check=False).returncode == 0

    until(answers, "served")
    faults(warm, "drop_ssh: true")
    until(answers, "served again")
    os.kill(process.pid, signal.SIGINT)
    assert finish(process).code == 130
