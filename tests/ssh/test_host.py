from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import ssh_host

from ec2tasks.ssh.host import Host, rsync_shell, ssh_argv, ssh_options


@pytest.fixture
def host(tmp_path: Path) -> Host:
    folder = tmp_path / "state folder"
    folder.mkdir()
    (folder / "my key.pem").touch()
    return ssh_host(folder)


def test_the_host_key_is_looked_up_by_instance_and_must_be_pinned(host: Host) -> None:
    options = ssh_options(host)
    assert "HostKeyAlias=i-0123456789abcdef0" in options
    assert "StrictHostKeyChecking=yes" in options
    assert "BatchMode=yes" in options


def test_openssh_understands_the_options_spaces_and_all(host: Host) -> None:
    result = subprocess.run(
        ["ssh", "-G", *ssh_options(host), host.login], capture_output=True, text=True, check=True
    )
    values = dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)
    assert values["userknownhostsfile"] == str(host.known_hosts)
    assert values["controlpath"].startswith(str(host.sockets))
    assert values["port"] == "2222"
    assert values["identityfile"] == str(host.identities[0])


@given(st.text(alphabet=" abc'\"\\$é", min_size=1, max_size=20))
def test_a_command_arrives_word_by_word(word: str) -> None:
    host = ssh_host(Path("/nowhere"))
    argv = ssh_argv(host, "printf", "%s", word)
    assert shlex.split(argv[-1]) == ["printf", "%s", word]


def test_a_path_with_a_space_survives_rsync_s_own_splitting(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    host = ssh_host(folder)
    recorder = tmp_path / "ssh"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{shlex.quote(str(tmp_path / "said"))}\nexit 1\n')
    recorder.chmod(0o755)
    shell = rsync_shell(host).replace("ssh ", f"{recorder} ", 1)
    subprocess.run(["rsync", f"--rsh={shell}", "there:x", str(tmp_path / "x")], capture_output=True)
    words = (tmp_path / "said").read_text().splitlines()
    assert words[: len(ssh_options(host))] == ssh_options(host)
