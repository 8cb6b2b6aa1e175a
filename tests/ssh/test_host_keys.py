from __future__ import annotations

from pathlib import Path

import pytest
from support.values import ssh_host

from ec2tasks.base.process import Tools
from ec2tasks.ssh import host_keys
from ec2tasks.ssh.host_keys import console_host_keys, is_pinned, pin_from_console, unpin

CONSOLE = """\
[   12.3] cloud-init: done
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNh root@ip-10-0-0-1
ssh-ed25519 AAAAC3NzaC1lZDI1 root@ip-10-0-0-1
-----END SSH HOST KEY KEYS-----
"""


def test_the_console_tells_the_host_keys() -> None:
    assert console_host_keys(CONSOLE) == ["ecdsa-sha2-nistp256 AAAAE2VjZHNh", "ssh-ed25519 AAAAC3NzaC1lZDI1"]
    assert console_host_keys("still booting") == []


def test_what_the_console_shows_is_pinned_until_the_instance_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = ssh_host(tmp_path)
    monkeypatch.setattr(host_keys, "console_output", lambda *_args, **_options: CONSOLE)
    assert not is_pinned(host)
    assert pin_from_console(None, host)  # type: ignore[arg-type]
    assert is_pinned(host)
    unpin(host, Tools())
    assert not is_pinned(host)


def test_a_console_that_shows_no_key_yet_pins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = ssh_host(tmp_path)
    monkeypatch.setattr(host_keys, "console_output", lambda *_args, **_options: "still booting")
    assert not pin_from_console(None, host)  # type: ignore[arg-type]
    assert not is_pinned(host)
