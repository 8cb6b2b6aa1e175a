"""What is kept of the forwarded ports: who wants which, over which control connection."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import ssh_host

from ec2tasks.base.process import Tools
from ec2tasks.ssh.forwards import (
    CONNECTION,
    Forward,
    Kept,
    forward_again,
    is_alive,
    open_here,
    stop_forwarding,
)

ONE, TWO = Forward(spec="8888:localhost:8888"), Forward(option="-R", spec="9000:localhost:9000")
MASTER, NEXT = 10, 11
PIDS = st.sets(st.sampled_from([CONNECTION, 1, 2, 3]))
HOLDERS = st.dictionaries(st.sampled_from([ONE, TWO]), PIDS)


@given(HOLDERS, st.sampled_from([0, MASTER]))
def test_what_is_kept_is_read_back(holders: dict[Forward, set[int]], master: int) -> None:
    kept = Kept(master=master, holders=holders)
    assert Kept.read(kept.text()) == (kept if holders else Kept())


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"forwards": 3}', '{"forwards": [["-L"]]}'])
def test_what_can_t_be_read_is_nothing(text: str) -> None:
    assert Kept.read(text) == Kept()


@pytest.mark.parametrize(
    ("holders", "alive", "master", "left", "closed"),
    [
        ({1}, {1}, MASTER, {1}, False),
        ({1, 2}, {2}, MASTER, {2}, False),
        # Its call was killed: the port is still open.
        ({1}, set(), MASTER, None, True),
        ({CONNECTION}, set(), MASTER, {CONNECTION}, False),
        # The connection went, and what it alone held with it.
        ({CONNECTION}, set(), NEXT, None, False),
        ({1}, set(), NEXT, None, False),
        # A call here is about to open it again.
        ({1, CONNECTION}, {1}, NEXT, {1, CONNECTION}, False),
    ],
)
def test_what_nobody_wants_any_more_goes(
    holders: set[int], alive: set[int], master: int, left: set[int] | None, closed: bool
) -> None:
    kept = Kept(master=MASTER, holders={ONE: holders})
    assert kept.settle(master, alive.__contains__) == ([ONE] if closed else [])
    assert kept.holders == ({ONE: left} if left else {})


@given(HOLDERS, st.sets(st.sampled_from([1, 2, 3])))
def test_what_a_living_call_wants_is_never_closed(holders: dict[Forward, set[int]], alive: set[int]) -> None:
    wanted = {one for one, pids in holders.items() if pids & alive}
    kept = Kept(master=MASTER, holders=holders)
    assert not wanted & set(kept.settle(MASTER, alive.__contains__))
    assert wanted <= set(kept.holders)


def test_a_forward_leads_to_a_port_of_the_instance_itself() -> None:
    assert Forward(spec="9999:127.0.0.1:8888").leads_to(8888)
    assert not Forward(spec="8888:db.internal:8888").leads_to(8888)
    assert not Forward(option="-R", spec="8888:localhost:8888").leads_to(8888)


def test_one_way_is_one_forward_however_it_is_asked_for() -> None:
    kept = Kept(master=MASTER, holders={ONE: {1}, TWO: {1}})
    assert kept.find(Forward(spec="127.0.0.1:8888:[::1]:8888")) == ONE
    assert kept.find(TWO) == TWO
    for spec in ("8889:localhost:8888", "0.0.0.0:8888:localhost:8888", "8888:db.internal:8888"):
        assert kept.find(Forward(spec=spec)) == Forward(spec=spec)


def test_whether_a_process_runs() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(2**22 + 1)


def test_the_file_is_plain() -> None:
    assert json.loads(Kept(master=MASTER, holders={ONE: {2, 1}}).text()) == {
        "master": MASTER,
        "forwards": [["-L", "8888:localhost:8888", [1, 2]]],
    }


SSH = """#!/bin/sh
case " $* " in
*" check "*) echo "Master running (pid=$MASTER)" >&2 ;;
*" forward -L 127.0.0.1:8888:"*) exit 255 ;;
esac
"""


def test_what_does_not_come_back_is_told_and_kept_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, kept = ssh_host(tmp_path), Kept(master=MASTER, holders={ONE: {os.getpid()}, TWO: {os.getpid()}})
    (tmp_path / f"ports-{host.instance_id}").write_text(kept.text())
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for master, lost in ((MASTER, []), (NEXT, [ONE]), (NEXT, [])):
        monkeypatch.setenv("MASTER", str(master))
        assert forward_again(host, Tools()) == lost
    assert list(open_here(host, Tools())) == [TWO]


def test_another_call_never_finds_it_empty_while_it_is_written(tmp_path: Path) -> None:
    host = ssh_host(tmp_path)
    path = host.sockets / f"ports-{host.instance_id}"
    path.write_text(Kept(master=MASTER, holders={ONE: {os.getpid()}}).text())
    sizes = set[int]()

    def stop_often() -> None:
        for _ in range(300):
            stop_forwarding(host, Tools(), [TWO])

    call = threading.Thread(target=stop_often)
    call.start()
    while call.is_alive():
        sizes.add(path.stat().st_size)
    assert len(sizes) == 1
