from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.local import requirements


def test_nothing_is_missing_where_all_is_found() -> None:
    assert requirements.missing_packages(lambda name: f"/usr/bin/{name}") == []


def test_each_missing_package_is_named_once() -> None:
    gone = {"bwrap", "unshare", "nsenter"}
    assert requirements.missing_packages(lambda name: None if name in gone else name) == [
        "bubblewrap",
        "util-linux",
    ]


def test_one_failure_names_all_that_is_missing_and_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "missing_packages", lambda: ["bubblewrap", "rsync"])
    with pytest.raises(Failure) as failure:
        requirements.check_programs()
    assert "`bubblewrap rsync`" in failure.value.what
    assert failure.value.hint == "sudo apt-get install -y bubblewrap rsync"


def test_another_system_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(Failure, match="needs Linux, and this is `darwin`"):
        requirements.check_programs()


def test_missing_moto_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Failure) as failure:
        requirements.check_programs()
    assert failure.value.hint == "pip install 'ec2tasks[local]'"


def test_no_way_out_is_said_in_advance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tun").touch()
    requirements.warn_if_no_network(tmp_path / "tun")
    assert capsys.readouterr().err == ""
    requirements.warn_if_no_network(tmp_path / "none")
    said = capsys.readouterr().err
    assert "instances will reach neither a network nor each other" in said
    assert "modprobe tun" in said
    monkeypatch.setattr("os.access", lambda *_: False)
    requirements.warn_if_no_network(tmp_path / "tun")
    assert f"hint: sudo chmod 666 {tmp_path / 'tun'}" in capsys.readouterr().err


def test_root_hands_the_sandbox_to_a_user_of_its_own() -> None:
    assert requirements.as_guest_argv(1000) == []
    assert requirements.as_guest_argv(0)[0] == "setpriv"
    assert f"--reuid={requirements.GUEST_ID}" in requirements.as_guest_argv(0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ls: cannot access '/r/.': Permission denied", "can't reach the folder `/r`"),
        ("bwrap: No permissions to create new namespace", "allows no unprivileged user namespaces"),
        ("", "no reason given"),
    ],
)
def test_a_sandbox_that_fails_is_explained(monkeypatch: pytest.MonkeyPatch, said: str, expected: str) -> None:
    result = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: result)
    with pytest.raises(Failure, match=expected):
        requirements.check_sandbox(Path("/r"), 0)
