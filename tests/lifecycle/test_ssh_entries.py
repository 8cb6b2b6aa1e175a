from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from support.values import INSTANCE, call_context, ssh_host

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.client import Aws
from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import start_thread
from ec2tasks.base.state import State
from ec2tasks.lifecycle.acquire import Acquired
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import find_instance, forget_entry, keep_entry
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.lifecycle.operation import Operation
from ec2tasks.lifecycle.release import apply
from ec2tasks.lifecycle.release_decision import Decision
from ec2tasks.lifecycle.ssh_entries import begin, drop_gone, end, put, read_entries, with_entry

HOST = ssh_host(Path("/nowhere"))
OTHER = replace(HOST, instance_id="i-0fedcba9876543210", address="127.0.0.2")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(folder=tmp_path, sockets=tmp_path)


def named(state: State, name: str, region: str = "eu-central-1") -> CallContext:
    return call_context(state, name=name, region=region)


def aliases(state: State) -> list[str]:
    return [one.alias for one in read_entries(state).values()]


def test_nothing_is_kept_before_it_is_asked_for_and_none_after(state: State) -> None:
    keep_entry(named(state, "shop"), HOST)
    assert not state.ssh_config.exists()
    begin(state)
    assert stat.S_IMODE(state.ssh_config.stat().st_mode) == 0o600
    keep_entry(named(state, "shop"), HOST)
    assert aliases(state) == ["ec2-shop"]
    begin(state)
    assert aliases(state) == ["ec2-shop"]
    end(state)
    keep_entry(named(state, "shop"), HOST)
    assert not state.ssh_config.exists()


def test_an_address_that_changes_takes_the_place_of_the_old_one(state: State) -> None:
    begin(state)
    keep_entry(named(state, "shop"), HOST)
    keep_entry(named(state, "shop"), replace(HOST, address="127.0.0.9"))
    assert state.ssh_config.read_text().count("Host ec2-shop\n") == 1
    assert "HostName 127.0.0.9\n" in state.ssh_config.read_text()
    before = state.ssh_config.stat()
    keep_entry(named(state, "shop"), replace(HOST, address="127.0.0.9"))
    assert state.ssh_config.stat().st_ino == before.st_ino


def test_an_end_takes_away_its_own_entry_alone(state: State) -> None:
    begin(state)
    keep_entry(named(state, "shop"), HOST)
    keep_entry(named(state, "till"), OTHER)
    forget_entry(named(state, "shop"), "shop", instance_id=OTHER.instance_id)
    assert aliases(state) == ["ec2-shop", "ec2-till"]
    forget_entry(named(state, "shop"), "shop", instance_id=HOST.instance_id)
    assert aliases(state) == ["ec2-till"]
    forget_entry(named(state, "till"), "till")
    assert aliases(state) == []


def test_two_of_one_name_are_called_apart(state: State) -> None:
    begin(state)
    keep_entry(named(state, "shop"), HOST)
    keep_entry(named(state, "shop", "eu-west-1"), OTHER)
    keep_entry(named(state, "shop*"), replace(HOST, instance_id="i-0000000000000abcd"))
    assert aliases(state) == ["ec2-shop", "ec2-shop-76543210", "ec2-shop-0000abcd"]


def test_what_runs_no_more_goes_in_its_own_region_alone(state: State) -> None:
    begin(state)
    keep_entry(named(state, "shop"), HOST)
    keep_entry(named(state, "till"), OTHER)
    keep_entry(named(state, "shop", "eu-west-1"), replace(HOST, instance_id="i-0000000000000abcd"))
    drop_gone(named(state, "shop"), "eu-central-1", {OTHER.instance_id})
    assert aliases(state) == ["ec2-till", "ec2-shop-0000abcd"]


def test_a_host_that_has_no_form_is_said_and_no_run_fails_for_it(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(state)
    keep_entry(named(state, "shop"), replace(HOST, user="ubuntu\nProxyCommand x"))
    assert aliases(state) == []
    assert "the login `ubuntu\\nProxyCommand x` can't stand in an ssh_config" in capsys.readouterr().err
    with pytest.raises(UsageError):
        with_entry({}, "a", "b", "shop", replace(HOST, user=""))


def test_a_key_named_from_a_folder_is_found_from_any(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(state)
    monkeypatch.chdir(state.folder)
    assert put(named(state, "shop"), replace(HOST, identities=(Path("k.pem"),))) == "ec2-shop"
    assert f"IdentityFile {state.folder}/k.pem\n" in state.ssh_config.read_text()
    with pytest.raises(UsageError, match="can't stand in an ssh_config"):
        put(named(state, "shop"), replace(HOST, identities=(Path("a\nb"),)))


@pytest.mark.parametrize("state_of_it", ["stopped", None])
def test_what_aws_shows_no_more_goes_with_the_next_call_that_asks(
    state_of_it: str | None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(state)
    found = [replace(INSTANCE, state=state_of_it)] if state_of_it else []
    monkeypatch.setattr(instances, "list_instances", lambda *_args, **_options: found)
    monkeypatch.setattr(Aws, "check_region", lambda _self: None)
    context = named(state, INSTANCE.name)
    keep_entry(context, HOST)
    find_instance(context)
    assert aliases(state) == []


@pytest.mark.parametrize("end_of_life", FinalState)
def test_each_end_takes_the_entry_away_and_nothing_else_does(
    end_of_life: FinalState, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(state)
    monkeypatch.setattr(start_and_end, "end", lambda *_args, **_options: None)
    context = named(state, INSTANCE.name)
    keep_entry(context, replace(HOST, instance_id=INSTANCE.id))
    held = Lease(operation=Operation(context=context), acquired=Acquired(instance=INSTANCE))
    apply(held, Decision(final_state=end_of_life))
    assert aliases(state) == (["ec2-kim-shop"] if end_of_life is FinalState.LEAVE else [])


def test_several_at_once_lose_nothing(state: State) -> None:
    begin(state)

    def keep(number: int) -> None:
        keep_entry(named(state, f"shop-{number}"), replace(HOST, instance_id=f"i-{number:x}"))

    threads = [start_thread(keep, number) for number in range(16)]
    for thread in threads:
        thread.join()
    assert sorted(aliases(state)) == sorted(f"ec2-shop-{number}" for number in range(16))


def test_a_file_that_can_t_be_written_is_no_reason_to_fail(
    state: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(state)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    keep_entry(named(state, "shop"), HOST)
    assert "can't be written: No space left on device" in capsys.readouterr().err
