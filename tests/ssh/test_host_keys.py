from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import AWS_NOWHERE, ssh_host

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.ssh import host_keys
from ec2tasks.ssh.host_keys import (
    Contact,
    Pin,
    Shown,
    Verdict,
    compare_with_console,
    console_host_keys,
    contact,
    is_pinned,
    keys_at_first_sight,
    pin_of,
    unpin,
    verdict,
)


def key(kind: str, body: bytes = b"its own") -> str:
    """A host key as known_hosts and the console hold it, of no use."""
    name = kind.encode()
    return f"{kind} {base64.b64encode(len(name).to_bytes(4, 'big') + name + body).decode()}"


ECDSA, ED25519, OTHER = key("ecdsa-sha2-nistp256"), key("ssh-ed25519"), key("ssh-ed25519", b"another's")


def block(*keys: str, prefix: str = "") -> str:
    lines = (
        "-----BEGIN SSH HOST KEY KEYS-----",
        *(f"{one} root@ip-10-0-0-1" for one in keys),
        "-----END SSH HOST KEY KEYS-----",
    )
    return "".join(f"{prefix}{line}\r\n" for line in lines)


@pytest.mark.parametrize("prefix", ["", "[   12.3] bash[4]: "])
def test_the_console_tells_the_host_keys(prefix: str) -> None:
    text = f"[ 12.3] cloud-init: done\n{block(ECDSA, ED25519, prefix=prefix)}Debian GNU/Linux"
    assert console_host_keys(text) == Shown(keys=(ECDSA, ED25519), whole=True)
    assert console_host_keys("still booting") == Shown(keys=(), whole=False)
    assert console_host_keys(block(ED25519).rpartition("-----END")[0]) == Shown(keys=(), whole=False)


def test_a_line_that_the_kernel_wrote_into_says_nothing_and_makes_the_block_no_proof() -> None:
    broken = block(ECDSA, ED25519).replace(ED25519[20:30], "[ 9.1] usb 1-1\n")
    assert console_host_keys(broken) == Shown(keys=(ECDSA,), whole=False)
    assert console_host_keys(broken + block(ED25519)) == Shown(keys=(ECDSA, ED25519), whole=True)


KEYS = st.sets(st.sampled_from([ECDSA, ED25519, OTHER]))


@given(pinned=KEYS, shown=KEYS, whole=st.booleans())
def test_only_what_is_shown_is_the_same_and_only_a_whole_console_says_that_it_is_not(
    pinned: set[str], shown: set[str], whole: bool
) -> None:
    found = verdict(pinned, Shown(keys=tuple(shown), whole=whole))
    assert (found is Verdict.SAME) == (bool(pinned) and pinned <= shown)
    assert (found is Verdict.OTHER) == (bool(pinned) and whole and not pinned <= shown)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What AWS shows of the console: the last of these."""
    texts = ["still booting"]
    monkeypatch.setattr(host_keys, "console_output", lambda *_args, **_options: texts[-1])
    return texts


def compare(folder: Path) -> Verdict:
    return compare_with_console(AWS_NOWHERE, ssh_host(folder), Tools())


def test_what_the_console_shows_is_pinned_until_the_instance_is_forgotten(
    tmp_path: Path, console: list[str]
) -> None:
    host = ssh_host(tmp_path)
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.FIRST_SIGHT
    assert not is_pinned(host)
    console.append(block(ECDSA, ED25519))
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.PINNED
    assert pin_of(host) is Pin.CONSOLE
    unpin(host, Tools())
    assert pin_of(host) is Pin.NONE


def test_a_key_taken_at_first_sight_is_held_to_the_console(tmp_path: Path, console: list[str]) -> None:
    host = ssh_host(tmp_path)
    seen = f"{host.instance_id} {ED25519}\n"
    host.known_hosts.write_text(seen)
    assert (pin_of(host), compare(tmp_path)) == (Pin.FIRST_SIGHT, Verdict.UNKNOWN)
    console.append(block(ECDSA, ED25519))
    assert (compare(tmp_path), pin_of(host)) == (Verdict.SAME, Pin.CONSOLE)
    host.known_hosts.write_text(seen)
    console.append(block(OTHER))
    assert (compare(tmp_path), pin_of(host)) == (Verdict.OTHER, Pin.CONSOLE)
    assert ED25519 not in host.known_hosts.read_text()  # who has it gets no connection any more


def test_who_has_another_key_loses_the_connection_before_the_console_s_is_pinned(
    tmp_path: Path, console: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is still open then would pass for one whose host key was checked."""
    host, pins = ssh_host(tmp_path, console_first=True), list[Pin]()
    monkeypatch.setattr(host_keys, "end_connection", lambda host, _tools: pins.append(pin_of(host)))
    host.known_hosts.write_text(f"{host.instance_id} {ED25519}\n")
    console.append(block(OTHER))
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.PINNED
    assert pins == [Pin.FIRST_SIGHT]


def test_what_another_call_has_compared_since_is_no_proof_of_what_this_one_met(
    tmp_path: Path, console: list[str]
) -> None:
    host = ssh_host(tmp_path)
    host.known_hosts.write_text(f"{host.instance_id} {ED25519}\n")
    met = keys_at_first_sight(host)
    console.append(block(OTHER))
    assert compare(tmp_path) is Verdict.OTHER
    assert compare_with_console(AWS_NOWHERE, host, Tools(), met=met) is Verdict.OTHER
    assert compare(tmp_path) is Verdict.SAME
    assert pin_of(host) is Pin.CONSOLE


def test_a_key_that_another_process_takes_at_first_sight_does_not_hide_behind_the_console_s(
    tmp_path: Path,
) -> None:
    host = ssh_host(tmp_path)
    host.known_hosts.write_text(f"{host.instance_id} {ED25519} console\n{host.instance_id} {ECDSA}\n")
    assert pin_of(host) is Pin.FIRST_SIGHT


def test_strict_nothing_counts_before_the_console_has_shown_it(tmp_path: Path, console: list[str]) -> None:
    host = ssh_host(tmp_path, console_first=True)
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.LATER
    host.known_hosts.write_text(f"{host.instance_id} {ED25519}\n")
    assert not is_pinned(host)
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.LATER
    console.append(block(ED25519))
    assert contact(AWS_NOWHERE, host, Tools()) is Contact.PINNED
    assert is_pinned(host)


def test_strict_a_missing_right_to_look_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, instead: str | None) -> str:
        assert instead is None
        raise Failure("AWS refuses GetConsoleOutput")

    monkeypatch.setattr(host_keys, "console_output", refuse)
    with pytest.raises(Failure, match="GetConsoleOutput"):
        contact(AWS_NOWHERE, ssh_host(tmp_path, console_first=True), Tools())
