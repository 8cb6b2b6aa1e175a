"""The wire between the instances, with the real switch: datagram sockets are its devices."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.waiting import until

from ec2tasks.local.firewall import Host
from ec2tasks.local.network import Wire, changes, names_of, switch_argv
from ec2tasks.local.requirements import GUEST_ID
from ec2tasks.local.switch import Change
from local.test_firewall import STRANGER, A, B, packet, ports


class Joined:
    """Instances on a wire, without the instances: what is written to `ends[id]` is what one of them sends."""

    def __init__(self, folder: Path) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.wire = Wire(spawn=self._spawn, uid=os.geteuid())
        self.ends: dict[str, socket.socket] = {}
        self.folder = folder
        self.serial = 0

    def _spawn(self, argv: list[str], **options: object) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen(argv, **options))  # type: ignore[call-overload]
        return self.started[-1]

    def join(self, instance_id: str) -> None:
        end, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.settimeout(0.2)
        self.ends[instance_id] = end
        names = self.folder / instance_id
        names.write_text("")
        self.wire.join(instance_id, device.detach(), names)


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Joined]:
    made = Joined(tmp_path)
    for one in (A, B, STRANGER):
        made.join(one.id)
    made.wire.follow([A, B, STRANGER])
    yield made
    made.wire.close()
    for end in made.ends.values():
        end.close()


def arrives(joined: Joined, source: Host, target: Host) -> bool:
    """Whether a packet comes out at the target; one that came earlier is not it."""
    joined.serial += 1
    sent = packet(source, target, ports(40000 + joined.serial, 22))
    joined.ends[source.id].send(sent)
    try:
        while joined.ends[target.id].recv(65536) != sent:
            pass
    except TimeoutError:
        return False
    return True


def test_packets_go_where_they_may_and_nowhere_else(joined: Joined) -> None:
    until(lambda: arrives(joined, A, B), "a packet between two of a group")
    joined.ends["i-a"].send(b"no packet")
    assert not arrives(joined, STRANGER, B)
    joined.wire.follow([A, replace(B, side="apart"), STRANGER])
    until(lambda: not arrives(joined, A, B), "the network to fall apart")
    joined.wire.follow([A, B, STRANGER])
    until(lambda: arrives(joined, A, B), "the network to be one again")


def test_the_switch_is_nobodys_and_has_no_network(joined: Joined) -> None:
    until(lambda: arrives(joined, A, B), "a packet")
    status = Path(f"/proc/{joined.started[0].pid}/status").read_text()
    uid = GUEST_ID if os.geteuid() == 0 else os.geteuid()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
    assert Path(f"/proc/{joined.started[0].pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_a_switch_that_died_is_started_again_and_told_all(joined: Joined) -> None:
    joined.started[0].kill()
    joined.started[0].wait()
    joined.wire.follow([A, B, STRANGER])
    assert len(joined.started) == 2
    until(lambda: arrives(joined, A, B), "a packet by the next switch")


def test_one_alone_needs_no_switch_and_none_is_left(tmp_path: Path) -> None:
    alone = Joined(tmp_path)
    alone.join("i-a")
    alone.wire.follow([A])
    assert alone.started == []
    alone.join("i-b")
    alone.wire.follow([A, B])
    alone.wire.leave("i-b")
    assert alone.wire.members == {"i-a"}
    alone.wire.close()
    assert alone.started[0].poll() is not None
    for end in alone.ends.values():
        end.close()


def test_instances_know_those_of_their_network_by_name(joined: Joined) -> None:
    elsewhere = replace(STRANGER, vpc="vpc-2", name="ip-172-31-0-7.x")
    here = [replace(A, name="ip-172-31-0-5.x"), replace(B, name="ip-172-31-0-6.x"), elsewhere]
    assert names_of(here[0], here) == {"ip-172-31-0-5.x": "172.31.0.5", "ip-172-31-0-6.x": "172.31.0.6"}
    joined.wire.follow(here)
    text = (joined.folder / "i-a").read_text()
    assert text.endswith(
        "172.31.0.5 ip-172-31-0-5.x ip-172-31-0-5\n172.31.0.6 ip-172-31-0-6.x ip-172-31-0-6\n"
    )
    joined.wire.leave("i-b")
    joined.wire.follow([here[0], elsewhere])
    assert (joined.folder / "i-a").read_text() == text[: text.index("172.31.0.6")]


def test_what_has_changed_is_told_alone() -> None:
    moved = replace(B, side="apart")
    assert changes({}, [A, B]) == [Change(host=A), Change(host=B)]
    assert changes({"i-a": A, "i-b": B}, [A, moved]) == [Change(host=moved)]
    assert changes({"i-a": A, "i-b": B}, [A]) == [Change(gone="i-b")]


def test_another_user_can_not_become_the_instances_user() -> None:
    assert switch_argv(5, 1000)[1:3] == ["--user", "--map-root-user"]
    assert switch_argv(5, 1000)[-1] == "0"
    assert switch_argv(5, 0)[-1] == f"{GUEST_ID}"
