from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from support.values import INSTANCE, NOON

from ec2tasks.aws.client import ATTEMPTS, Aws
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.start_and_end import START_LOOKS, NextStep, bring_up, end, next_step
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState


def like(**changes: object) -> Instance:
    return dataclasses.replace(INSTANCE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instance", "step"),
    [
        (None, NextStep.LAUNCH),
        (like(state="stopped", address=None), NextStep.START),
        (like(state="stopping"), NextStep.WAIT),
        (like(state="pending", address=None), NextStep.WAIT),
        (like(state="running"), NextStep.USE),
        (like(state="running", address=None), NextStep.WAIT),
    ],
)
def test_what_a_state_asks_for(instance: Instance | None, step: NextStep) -> None:
    assert next_step(instance) is step


def run_through(states: list[str | None]) -> tuple[Instance, list[str]]:
    """Bring an instance up while AWS shows these states one after the other; what was done meanwhile."""
    done: list[str] = []
    shown: Iterator[str | None] = iter(states)

    def find() -> Instance | None:
        state = next(shown)
        address = "1.2.3.4" if state == "running" else None
        return None if state is None else like(state=state, address=address)

    def launch() -> Instance:
        done.append("launch")
        return like(state="pending", address=None)

    instance = bring_up(
        find=find,
        launch=launch,
        start=lambda _instance: done.append("start"),
        describe=lambda _id: like(state="pending", address=None),
        sleep=lambda _seconds: None,
        clock=lambda: 0.0,
    )
    return instance, done


@pytest.mark.parametrize(
    ("states", "done"),
    [
        (["running"], []),
        (["pending", "running"], []),
        ([None, "pending", "running"], ["launch"]),
        # AWS's answers lag: the instance that was just launched does not show at once.
        ([None, None, None, "pending", "running"], ["launch"]),
        (["stopping", "stopped", "pending", "running"], ["start"]),
        # So do those about one that was just started.
        (["stopped", "stopped", "pending", "running"], ["start", "start"]),
    ],
)
def test_every_way_up(states: list[str | None], done: list[str]) -> None:
    instance, did = run_through(states)
    assert (instance.state, did) == ("running", done)


def test_an_instance_that_ends_while_it_starts_says_why() -> None:
    with pytest.raises(Failure) as caught:
        bring_up(
            find=lambda: None,
            launch=lambda: like(state="pending"),
            start=lambda _instance: None,
            describe=lambda _id: like(state="terminated", reason="Client.VolumeLimitExceeded"),
            sleep=lambda _seconds: None,
        )
    assert "Client.VolumeLimitExceeded" in caught.value.what


@pytest.mark.parametrize(
    ("code", "says", "hint"),
    [
        ("Server.InsufficientInstanceCapacity", "AWS can't start kim-shop", "nothing on its disk is lost"),
        (
            "Client.VolumeLimitExceeded",
            "stopped again while it started: no such luck",
            "aws ec2 describe-volumes",
        ),
        ("Odd", "stopped again while it started: no such luck", ""),
    ],
)
def test_one_that_falls_back_after_its_start_says_why_and_is_not_started_for_ever(
    code: str, says: str, hint: str
) -> None:
    shown, started = iter(["stopped", "pending", "stopped"]), list[str]()
    with pytest.raises(Failure) as caught:
        bring_up(
            find=lambda: like(state=next(shown), address=None, reason_code=code, reason="no such luck"),
            launch=lambda: like(state="pending"),
            start=lambda instance: started.append(instance.id),
            describe=lambda _id: None,
            sleep=lambda _seconds: None,
        )
    assert says in caught.value.what
    assert hint in str(caught.value.hint)
    assert started == ["i-1"]


def test_a_start_that_was_taken_back_unseen_shows_by_its_reason_or_by_nothing_that_ever_moves() -> None:
    starts = list[str]()

    def bring(codes: list[str]) -> None:
        shown = iter(codes)
        bring_up(
            find=lambda: like(state="stopped", address=None, reason_code=next(shown)),
            launch=lambda: like(state="pending"),
            start=lambda instance: starts.append(instance.id),
            describe=lambda _id: None,
            sleep=lambda _seconds: None,
            clock=lambda: 0.0,
        )

    with pytest.raises(Failure, match="AWS can't start"):
        bring(["Client.UserInitiatedShutdown", "Server.InsufficientInstanceCapacity"])
    assert len(starts) == 1
    with pytest.raises(Failure, match="stopped again"):
        bring(["Client.UserInitiatedShutdown"] * 99)
    assert len(starts) == 1 + START_LOOKS + 1


def test_after_one_that_aws_takes_back_another_is_launched() -> None:
    launched, lost, shown = list[str](), list[str](), list[bool]()

    def launch() -> Instance:
        launched.append(f"i-{len(launched)}")
        return like(id=launched[-1], state="pending", address=None)

    def find() -> Instance | None:
        if launched == ["i-0", "i-1"] and shown:
            return like(id="i-1")
        shown.append(True)
        return None

    def is_lost(instance: Instance) -> bool:
        lost.append(instance.id)
        return True

    instance = bring_up(
        find=find,
        launch=launch,
        start=lambda _instance: None,
        describe=lambda instance_id: like(id=instance_id, state="terminated"),
        is_lost=is_lost,
        sleep=lambda _seconds: None,
        clock=lambda: 0.0,
    )
    assert (instance.id, lost, launched) == ("i-1", ["i-0"], ["i-0", "i-1"])


def test_the_time_in_which_a_launch_is_asked_for_is_not_waiting() -> None:
    now = [0.0]

    def launch() -> Instance:
        now[0] += 100_000
        return like(state="pending", address=None)

    found = iter([None, like(state="pending", address=None), like()])
    instance = bring_up(
        find=lambda: next(found),
        launch=launch,
        start=lambda _instance: None,
        describe=lambda _id: None,
        sleep=lambda _seconds: None,
        clock=lambda: now[0],
    )
    assert instance.state == "running"


def test_waiting_has_an_end() -> None:
    moments = iter(range(0, 10_000, 100))
    with pytest.raises(Failure) as caught:
        bring_up(
            find=lambda: like(state="pending", address=None),
            launch=lambda: INSTANCE,
            start=lambda _instance: None,
            describe=lambda _id: None,
            sleep=lambda _seconds: None,
            clock=lambda: float(next(moments)),
        )
    assert caught.value.hint


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
        description = {
            "InstanceId": "i-1",
            "State": {"Name": self.state},
            "InstanceType": "g5.xlarge",
            "Placement": {"AvailabilityZone": "eu-central-1a"},
            "LaunchTime": NOON,
        }
        return {"Reservations": [{"Instances": [description]}]}


@pytest.mark.parametrize(
    ("code", "state", "final_state", "asked"),
    [
        # Not stopped while it starts: asked again until AWS does.
        ("IncorrectInstanceState", "pending", FinalState.STOP, 4),
        # Not known yet, just after its launch.
        ("InvalidInstanceID.NotFound", "pending", FinalState.TERMINATE, 4),
        # Ended by somebody else meanwhile: nothing more to ask.
        ("IncorrectInstanceState", "stopping", FinalState.STOP, 1),
        ("IncorrectInstanceState", "terminated", FinalState.TERMINATE, 1),
    ],
)
def test_an_end_that_aws_does_not_take_yet_is_asked_for_again(
    code: str, state: str, final_state: FinalState, asked: int
) -> None:
    client = Reluctant(code, 3, state)
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", ATTEMPTS): client})
    end(aws, INSTANCE, final_state, sleep=lambda _seconds: None)
    assert client.asked == asked


def test_an_end_that_aws_never_takes_is_no_success() -> None:
    client = Reluctant("IncorrectInstanceState", 1000, "pending")
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", ATTEMPTS): client})
    with pytest.raises(ClientError):
        end(aws, INSTANCE, FinalState.STOP, sleep=lambda _seconds: None)


def test_a_running_instance_without_an_address_is_told_before_long() -> None:
    with pytest.raises(Failure, match="no public address"):
        bring_up(
            find=lambda: like(state="running", address=None),
            launch=lambda: INSTANCE,
            start=lambda _instance: None,
            describe=lambda _id: None,
            sleep=lambda _seconds: None,
            clock=lambda: 0.0,
        )
