from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timezone

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from support.values import INSTANCE, NOON, every_field

from ec2tasks.aws.client import ATTEMPTS, Aws
from ec2tasks.aws.instances import (
    ALIVE,
    Instance,
    Step,
    bring_up,
    choose,
    end,
    next_step,
)
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.lifecycle.instance_cache import as_json, from_json
from ec2tasks.remote.guard_status import facts


def like(**changes: object) -> Instance:
    return dataclasses.replace(INSTANCE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instance", "step"),
    [
        (None, Step.LAUNCH),
        (like(state="stopped", address=None), Step.START),
        (like(state="stopping"), Step.WAIT),
        (like(state="pending", address=None), Step.WAIT),
        (like(state="running"), Step.USE),
        (like(state="running", address=None), Step.WAIT),
    ],
)
def test_what_a_state_asks_for(instance: Instance | None, step: Step) -> None:
    assert next_step(instance) is step


def test_the_project_s_own_instance_is_taken() -> None:
    assert choose([INSTANCE], name="kim-shop", identities=("p1",), name_given=False) is INSTANCE
    assert choose([], name="kim-shop", identities=("p1",), name_given=False) is None


def test_another_project_s_instance_is_shared_only_by_name() -> None:
    with pytest.raises(UsageError) as caught:
        choose([INSTANCE], name="kim-shop", identities=("p2",), name_given=False)
    assert "i-1" in caught.value.what
    assert choose([INSTANCE], name="kim-shop", identities=("p2",), name_given=True) is INSTANCE


def test_several_of_one_name_are_listed_not_chosen_from() -> None:
    with pytest.raises(UsageError) as caught:
        choose([INSTANCE, like(id="i-2")], name="kim-shop", identities=("p1",), name_given=True)
    assert "i-1" in caught.value.what
    assert "i-2" in caught.value.what


def run_through(states: list[str | None]) -> tuple[Instance, list[str]]:
    """Bring an instance up while AWS shows these states one after the other; what was done meanwhile."""
    done: list[str] = []
    shown: Iterator[str | None] = iter(states)

    def observe() -> Instance | None:
        state = next(shown)
        address = "1.2.3.4" if state == "running" else None
        return None if state is None else like(state=state, address=address)

    def launch() -> Instance:
        done.append("launch")
        return like(state="pending", address=None)

    found = bring_up(
        observe=observe,
        launch=launch,
        start=lambda _instance: done.append("start"),
        watch=lambda _id: like(state="pending", address=None),
        sleep=lambda _seconds: None,
        clock=lambda: 0.0,
    )
    return found, done


@pytest.mark.parametrize(
    ("states", "done"),
    [
        (["running"], []),
        (["pending", "running"], []),
        ([None, "pending", "running"], ["launch"]),
        # AWS's answers lag: the instance that was just launched does not show at once.
        ([None, None, None, "pending", "running"], ["launch"]),
        (["stopping", "stopped", "pending", "running"], ["start"]),
    ],
)
def test_every_way_up(states: list[str | None], done: list[str]) -> None:
    found, did = run_through(states)
    assert (found.state, did) == ("running", done)


def test_an_instance_that_ends_while_it_starts_says_why() -> None:
    with pytest.raises(Failure) as caught:
        bring_up(
            observe=lambda: None,
            launch=lambda: like(state="pending"),
            start=lambda _instance: None,
            watch=lambda _id: like(state="terminated", reason="Client.VolumeLimitExceeded"),
            sleep=lambda _seconds: None,
        )
    assert "Client.VolumeLimitExceeded" in caught.value.what


def test_waiting_has_an_end() -> None:
    moments = iter(range(0, 10_000, 100))
    with pytest.raises(Failure) as caught:
        bring_up(
            observe=lambda: like(state="pending", address=None),
            launch=lambda: INSTANCE,
            start=lambda _instance: None,
            watch=lambda _id: None,
            sleep=lambda _seconds: None,
            clock=lambda: float(next(moments)),
        )
    assert caught.value.hint


def test_what_status_tells() -> None:
    found = facts(INSTANCE, now=NOON)
    assert (found["age_seconds"], found["cost"]) == (7200, 2.52)
    assert facts(like(state="stopped"), now=NOON)["cost"] is None
    assert facts(like(price=None), now=NOON)["cost"] is None


MOMENTS = st.datetimes(timezones=st.just(timezone.utc))
INSTANCES = st.builds(
    Instance,
    **{
        **every_field(Instance),
        "state": st.sampled_from(ALIVE),
        "launched": MOMENTS,
        "stopped": st.none() | MOMENTS,
        "price": st.none() | st.floats(0.01, 100),
    },
)


@given(INSTANCES)
def test_what_is_remembered_comes_back_as_it_was(instance: Instance) -> None:
    import json

    assert from_json(json.loads(json.dumps(as_json(instance)))) == instance


@pytest.mark.parametrize("junk", [None, {}, {"launched": 3}, {"launched": "2026-11-01", "x": 1}])
def test_what_is_no_instance_is_no_memory(junk: dict[str, object] | None) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(junk)


class Reluctant:
    """EC2 that refuses an end so many times, and shows the instance in one state meanwhile."""

    def __init__(self, code: str, times: int, state: str) -> None:
        self.error = ClientError({"Error": {"Code": code, "Message": "x"}}, "End")
        self.left, self.state, self.asked = times, state, 0

    def stop_instances(self, **_request: object) -> None:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error

    terminate_instances = stop_instances

    def describe_instances(self, **_request: object) -> dict[str, object]:
        found = {
            "InstanceId": "i-1",
            "State": {"Name": self.state},
            "InstanceType": "g5.xlarge",
            "Placement": {"AvailabilityZone": "eu-central-1a"},
            "LaunchTime": NOON,
        }
        return {"Reservations": [{"Instances": [found]}]}


@pytest.mark.parametrize(
    ("code", "state", "wanted", "asked"),
    [
        # Not stopped while it starts: asked again until AWS does.
        ("IncorrectInstanceState", "pending", "stop", 4),
        # Not known yet, just after its launch.
        ("InvalidInstanceID.NotFound", "pending", "terminate", 4),
        # Ended by somebody else meanwhile: nothing more to ask.
        ("IncorrectInstanceState", "stopping", "stop", 1),
        ("IncorrectInstanceState", "terminated", "terminate", 1),
    ],
)
def test_an_end_that_aws_does_not_take_yet_is_asked_for_again(
    code: str, state: str, wanted: str, asked: int
) -> None:
    client = Reluctant(code, 3, state)
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", ATTEMPTS): client})
    end(aws, INSTANCE, wanted, sleep=lambda _seconds: None)
    assert client.asked == asked


def test_an_end_that_aws_never_takes_is_no_success() -> None:
    client = Reluctant("IncorrectInstanceState", 1000, "pending")
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", ATTEMPTS): client})
    with pytest.raises(ClientError):
        end(aws, INSTANCE, "stop", sleep=lambda _seconds: None)


def test_a_running_instance_without_an_address_is_told_before_long() -> None:
    with pytest.raises(Failure, match="no public address"):
        bring_up(
            observe=lambda: like(state="running", address=None),
            launch=lambda: INSTANCE,
            start=lambda _instance: None,
            watch=lambda _id: None,
            sleep=lambda _seconds: None,
            clock=lambda: 0.0,
        )
