"""What listens, as this machine's own kernel tells it, and as a hostile instance might."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from ec2tasks.remote.listening import TOLD_LIMIT, Listener, read_listener, say_server
from ec2tasks.remote.protocol import ProtocolError, bash_argv, read_message
from ec2tasks.ssh.forwards import Forward


def listeners() -> dict[int, Listener]:
    """What listening.sh tells of this machine."""
    said = subprocess.run(bash_argv("listening.sh"), capture_output=True, text=True, check=True)
    messages = (read_message(line, "listening") for line in said.stdout.splitlines())
    return {one.port: one for message in messages if message for one in [read_listener(message)]}


def test_a_server_is_told_with_its_program_and_job() -> None:
    serve = "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True); input()"
    environ = {**os.environ, "EC2TASKS_RUN": "20261101-1"}
    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        subprocess.Popen(
            ["python3", "-c", serve], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout
        port = int(process.stdout.readline())
        found = listeners()
        process.communicate(b"\n")
        other = found[loopback.getsockname()[1]]
    assert (found[port].public, found[port].job) == (True, "20261101-1")
    assert found[port].program.startswith("python")
    assert (other.public, other.job) == (False, "")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "8e3", "٣", "99999999"])
def test_a_port_that_is_none_is_an_error(port: str) -> None:
    message = read_message(f"listening version=1 port={port}", "listening")
    assert message
    with pytest.raises(ProtocolError):
        read_listener(message)


def test_a_program_s_name_is_cut() -> None:
    message = read_message(f"listening version=1 port=80 program={'x' * 999}", "listening")
    assert message
    assert read_listener(message) == Listener(port=80, public=False, program="x" * 15, job="")


def test_what_a_program_calls_its_job_is_no_error() -> None:
    message = read_message("listening version=1 port=80 job=../../x", "listening")
    assert message
    assert read_listener(message) == Listener(port=80, public=False, program="", job="")


def serves(words: str, told: set[int], opened: tuple[str, ...] = ()) -> None:
    message = read_message(f"serves version=1 {words}", "serves")
    assert message
    say_server(message, told, lambda: [Forward(spec=spec) for spec in opened])


def test_a_server_is_said_once_unless_it_is_open_here(capsys: pytest.CaptureFixture[str]) -> None:
    told = set[int]()
    for _ in range(2):
        serves("port=6006 program=tensorboard", told)
    serves("port=8050", told, ("8050:localhost:8050",))
    serves("port=8051 program=base64:G1szMW0=", told, ("9000:localhost:8050",))
    serves("port=x", told)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "ec2: tensorboard listens on port 6006 there: `ec2tasks ports 6006` brings it here",
        "ec2: \\x1b[31m listens on port 8051 there: `ec2tasks ports 8051` brings it here",
    ]


def test_few_servers_are_said_whatever_the_instance_says(capsys: pytest.CaptureFixture[str]) -> None:
    told = set[int]()
    for port in range(1, 1000):
        serves(f"port={port}", told)
    assert len(capsys.readouterr().err.splitlines()) == TOLD_LIMIT == len(told)
