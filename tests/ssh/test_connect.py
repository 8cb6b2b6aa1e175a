from __future__ import annotations

import shlex
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.ssh import connect as access
from ec2tasks.ssh.connect import Host, console_keys, rsync_shell, ssh_argv, ssh_options

CONSOLE = """\
[   12.3] cloud-init: done
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNh root@ip-10-0-0-1
ssh-ed25519 AAAAC3NzaC1lZDI1 root@ip-10-0-0-1
-----END SSH HOST KEY KEYS-----
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    folder = tmp_path / "state folder"
    folder.mkdir()
    (folder / "my key.pem").touch()
    return make_host(folder)


def make_host(folder: Path) -> Host:
    return Host(
        instance_id="i-0123456789abcdef0",
        address="127.0.0.1",
        port=2222,
        user="ubuntu",
        identities=(folder / "my key.pem",),
        only_these=True,
        known_hosts=folder / "known_hosts",
        sockets=folder,
    )


def test_the_host_key_is_looked_up_by_instance_and_must_be_pinned(host: Host) -> None:
    options = ssh_options(host)
    assert "HostKeyAlias=i-0123456789abcdef0" in options
    assert "StrictHostKeyChecking=yes" in options
    assert "BatchMode=yes" in options


def test_openssh_understands_the_options_spaces_and_all(host: Host) -> None:
    said = subprocess.run(
        ["ssh", "-G", *ssh_options(host), host.login], capture_output=True, text=True, check=True
    )
    values = dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)
    assert values["userknownhostsfile"] == str(host.known_hosts)
    assert values["controlpath"].startswith(str(host.sockets))
    assert values["port"] == "2222"
    assert values["identityfile"] == str(host.identities[0])


@given(st.text(alphabet=" abc'\"\\$é", min_size=1, max_size=20))
def test_a_command_arrives_word_by_word(word: str) -> None:
    host = make_host(Path("/nowhere"))
    argv = ssh_argv(host, "printf", "%s", word)
    assert shlex.split(argv[-1]) == ["printf", "%s", word]


def test_a_path_with_a_space_survives_rsync_s_own_splitting(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    host = make_host(folder)
    recorder = tmp_path / "ssh"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{shlex.quote(str(tmp_path / "said"))}\nexit 1\n')
    recorder.chmod(0o755)
    shell = rsync_shell(host).replace("ssh ", f"{recorder} ", 1)
    subprocess.run(["rsync", f"--rsh={shell}", "there:x", str(tmp_path / "x")], capture_output=True)
    said = (tmp_path / "said").read_text().splitlines()
    assert said[: len(ssh_options(host))] == ssh_options(host)


def test_the_console_tells_the_host_keys() -> None:
    assert console_keys(CONSOLE) == ["ecdsa-sha2-nistp256 AAAAE2VjZHNh", "ssh-ed25519 AAAAC3NzaC1lZDI1"]
    assert console_keys("still booting") == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "pinned"),
        ("ubuntu@127.0.0.1: Permission denied (publickey).", "refuses the keys"),
        ("ssh: connect to host 127.0.0.1 port 2222: Connection refused", "did not answer"),
    ],
)
def test_what_keeps_ssh_away_is_told(
    said: str, words: str, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(0, 100_000, 10))
    monkeypatch.setattr(access, "open_master", lambda *_args, **_options: said)
    monkeypatch.setattr(access, "is_pinned", lambda _host: True)
    with pytest.raises(Failure) as caught:
        access.wait_ready(
            host,
            None,  # type: ignore[arg-type]
            Tools(),
            watch=lambda: running(),
            admit=lambda: False,
            sleep=lambda _seconds: None,
            clock=lambda: float(next(moments)),
        )
    assert words in caught.value.what
    assert caught.value.hint


def running() -> Instance:
    return Instance(
        id="i-0123456789abcdef0",
        name="kim-shop",
        state="running",
        type="g5.xlarge",
        zone="eu-central-1a",
        address="127.0.0.1",
        user="ubuntu",
        owner="kim",
        project=None,
        launched=datetime.now(timezone.utc),
        spot=False,
        price=None,
        group_ids=(),
        reason="",
        fetched=False,
    )
