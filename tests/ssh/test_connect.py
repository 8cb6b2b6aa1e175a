from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.values import INSTANCE, ssh_host

from ec2tasks.aws.reachability import Reachability
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.ssh import connect
from ec2tasks.ssh.host_keys import Contact


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("Host key for i-0123456789abcdef0 has changed\nHost key verification failed.", "pinned"),
        ("No ED25519 host key is known for i-0123456789abcdef0 and you have requested …", "pinned"),
        ("ubuntu@127.0.0.1: Permission denied (publickey).", "refuses the keys"),
        ("ssh: connect to host 127.0.0.1 port 2222: Connection refused", "did not answer"),
    ],
)
def test_what_keeps_ssh_away_is_told(
    error: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(0, 100_000, 10))
    monkeypatch.setattr(connect, "open_master", lambda *_args, **_options: error)
    monkeypatch.setattr(connect, "contact", lambda *_asked: Contact.PINNED)
    with pytest.raises(Failure) as caught:
        connect.wait_ready(
            ssh_host(tmp_path),
            None,  # type: ignore[arg-type]
            Tools(),
            describe=lambda: INSTANCE,
            open_port=lambda: False,
            why_not=lambda _now: Reachability(console=("it", "booted")),
            sleep=lambda _seconds: None,
            clock=lambda: float(next(moments)),
        )
    assert words in caught.value.what
    assert caught.value.hint
    assert list(caught.value.lines) == (["it", "booted"] if "did not answer" in words else [])


def test_where_the_address_changed_the_port_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments, opened = iter(range(0, 100_000, 10)), list[str]()

    def open_port() -> bool:
        opened.append("opened")
        return True

    answers = iter(["timed out"] * 10)
    monkeypatch.setattr(connect, "open_master", lambda *_args, **_options: next(answers, None))
    monkeypatch.setattr(connect, "contact", lambda *_asked: Contact.PINNED)
    connect.wait_ready(
        ssh_host(tmp_path),
        None,  # type: ignore[arg-type]
        Tools(),
        describe=lambda: INSTANCE,
        open_port=open_port,
        why_not=lambda _now: Reachability(),
        sleep=lambda _seconds: None,
        clock=lambda: next(moments) / 4,
    )
    assert opened == ["opened"]
    assert "address changed" in capsys.readouterr().err


def test_an_instance_that_ends_before_ssh_answers_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "open_master", lambda *_args, **_options: "Connection refused")
    monkeypatch.setattr(connect, "contact", lambda *_asked: Contact.PINNED)
    with pytest.raises(Failure, match="terminated before SSH answered: no room"):
        connect.wait_ready(
            ssh_host(tmp_path),
            None,  # type: ignore[arg-type]
            Tools(),
            describe=lambda: replace(INSTANCE, state="terminated", reason="no room"),
            open_port=lambda: False,
            why_not=lambda _now: Reachability(console=("it", "booted")),
        )


@pytest.mark.parametrize(
    "said",
    [
        "No ED25519 host key is known for bastion and you …\nHost key verification failed.",
        "kim@bastion: Permission denied (publickey).",
        "ssh: Could not resolve hostname bastion: Name or service not known",
    ],
)
def test_a_jump_host_that_lets_nobody_through_is_told_from_the_instance(tmp_path: Path, said: str) -> None:
    host = ssh_host(tmp_path, proxy=("ssh", "-W", "10.0.0.7:22", "bastion"))
    with pytest.raises(Failure, match="via: bastion leads nowhere") as caught:
        connect.check_error(f"{said}\nConnection closed by UNKNOWN port 65535", host)
    assert list(caught.value.lines) == said.splitlines()
    assert "`ssh bastion true`" in str(caught.value.hint)
    connect.check_error(f"{host.login}: Permission denied (publickey).", host)
    connect.check_error("channel 0: open failed: connect failed: Connection refused", host)
    connect.check_error(said, ssh_host(tmp_path))


def test_an_endpoint_that_lets_nobody_through_is_told_with_the_words_of_the_aws_cli(tmp_path: Path) -> None:
    host = ssh_host(tmp_path, proxy=("aws", "ec2-instance-connect", "open-tunnel", "--instance-id", "i-1"))
    said = "An error occurred (AccessDenied) when calling the DescribeInstanceConnectEndpoints operation"
    with pytest.raises(Failure, match="via: eice leads nowhere") as caught:
        connect.check_error(said, host)
    assert "`aws ec2-instance-connect open-tunnel --instance-id i-1`" in str(caught.value.hint)


SSH = """#!/bin/sh
case " $* " in *" -O check "*) [ -e "$OPENED" ]; exit ;; esac
sleep 0.3
echo opened >>"$OPENED"
"""


def test_calls_that_come_back_at_once_open_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two, ssh would leave one open in the background, which nothing ever closes."""
    opened, host = tmp_path / "opened", ssh_host(tmp_path)
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("OPENED", str(opened))
    said: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: said.append(connect.open_master(host, Tools()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [None] * 3
    assert opened.read_text() == "opened\n"
