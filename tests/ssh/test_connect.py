from __future__ import annotations

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
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "pinned"),
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
    monkeypatch.setattr(connect, "reachability", lambda *_asked: Reachability(console=("it", "booted")))
    with pytest.raises(Failure) as caught:
        connect.wait_ready(
            ssh_host(tmp_path),
            None,  # type: ignore[arg-type]
            Tools(),
            describe=lambda: INSTANCE,
            open_port=lambda: False,
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
        )
