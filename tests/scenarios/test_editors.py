"""`ec2tasks ssh-config`: the user's own ssh, scp, rsync, and what editors run, reach the instance by name."""

from __future__ import annotations

import re
import shlex
import signal
import socket
from pathlib import Path

from support.background import start
from support.local_ec2 import until_state
from support.ports import free_port
from support.project import ScratchProject
from support.waiting import until

# What Remote-SSH sends to `bash`: it leaves a server behind that listens, says where, and stays.
REMOTE_SSH = """\
setsid python3 -c '
import socket, pathlib
server = socket.create_server(("127.0.0.1", 0))
pathlib.Path("vscode.port").write_text(str(server.getsockname()[1]))
while True:
    one = server.accept()[0]
    one.sendall(one.recv(99).upper())
    one.close()
' </dev/null >/dev/null 2>&1 &
while ! [ -s vscode.port ]; do sleep 0.05; done
echo "listeningOn==$(cat vscode.port)=="
sleep 600
"""


def own_ssh(project: ScratchProject, folder: Path) -> Path:
    """The `ssh` of a user whose home is the test's: the real one asks the system, not HOME, where that is."""
    config = Path(project.environ["HOME"]) / ".ssh" / "config"
    program = folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {shlex.quote(str(config))} "$@"\n')
    program.chmod(0o755)
    project.environ["PATH"] = f"{program.parent}:{project.environ['PATH']}"
    return config


def entries(project: ScratchProject) -> str:
    return (Path(project.environ["HOME"]) / ".local/state/ec2tasks/ssh_config").read_text()


def by_socks(port: int, there: int, text: bytes) -> bytes:
    """What a port of the instance's answers through `ssh -D`, as VS Code asks its server."""
    with socket.create_connection(("127.0.0.1", port)) as asked:
        asked.sendall(b"\x05\x01\x00")
        assert asked.recv(2) == b"\x05\x00"
        asked.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + there.to_bytes(2, "big"))
        assert asked.recv(10)[:2] == b"\x05\x00"
        asked.sendall(text)
        return asked.recv(99)


def who(project: ScratchProject) -> str:
    """What keeps the instance, as its guard has it."""
    status = project.status()
    return str(status["guard"]["reason"]) if status and status["guard"] else ""


def test_it_is_reached_by_its_name_from_each_start_to_each_end(
    local_project: ScratchProject, tmp_path: Path
) -> None:
    config = own_ssh(local_project, tmp_path)
    first = local_project.ec2tasks("ssh-config")
    assert (first.code, first.out) == (0, ""), first.err
    assert "runs in eu-central-1" in first.err
    mine = "Host *\n  ForwardAgent yes\n  ProxyJump nowhere\n"
    config.write_text(config.read_text() + mine)
    local_project.write("data", "17\n")
    run = local_project.ec2tasks("run", "--leave", "true")
    assert run.code == 0, run.err
    said = local_project.ec2tasks("ssh-config")
    name = said.out.strip()
    assert name == f"ec2-{local_project.environ['USER']}-shop"
    assert "warning" not in said.err
    assert local_project.call("ssh", name, "cat shop/data").out == "17\n"
    for argv in (("scp", "-S", "ssh", f"{name}:shop/data", "1"), ("rsync", f"{name}:shop/data", "2")):
        copied = local_project.call(*argv)
        assert copied.code == 0, copied.err
        assert local_project.read(argv[-1]) == "17\n"
    listed = local_project.call("sftp", "-S", "ssh", "-b", "-", name, stdin="ls shop\n")  # as PyCharm does
    assert "shop/data" in listed.out, listed.err
    an_editor_keeps_it_as_long_as_it_is_there(local_project, name)
    assert local_project.ec2tasks("ls").code == 0
    assert "Host " not in entries(local_project)
    assert local_project.ec2tasks("up").code == 0
    assert local_project.call("ssh", name, "cat shop/data").out == "17\n"
    ended = local_project.ec2tasks("down")
    assert ended.code == 0, ended.err
    assert "Host " not in entries(local_project)
    gone = local_project.ec2tasks("ssh-config", "--remove")
    assert gone.code == 0, gone.err
    assert config.read_text() == mine


def an_editor_keeps_it_as_long_as_it_is_there(project: ScratchProject, name: str) -> None:
    """What VS Code runs works; its connection keeps the instance, what it leaves behind does not."""
    port = free_port()
    argv = ("ssh", "-v", "-T", "-D", str(port), "-o", "ConnectTimeout=15", name, "bash")
    editor = start(project, *argv, stdin=REMOTE_SSH.encode())
    there = int(re.fullmatch("listeningOn==(.*)==", editor.line())[1])  # type: ignore[index]
    assert by_socks(port, there, b"hello") == b"HELLO"
    assert project.ec2tasks("up", "--idle-stop", "10 s").code == 0
    until(lambda: who(project).startswith("ubuntu"), "the editor's connection to count")
    again = project.call("ssh", "-T", name, "bash", stdin="cat vscode.port; pgrep -c python3")
    assert again.out == f"{there}1\n", again.err  # the server of the first connection
    editor.signal_all(signal.SIGKILL)
    until_state(project, "stopped")
