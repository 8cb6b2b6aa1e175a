from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.values import INSTANCE, call_context, client_error, settings

from ec2tasks.aws.client import Aws
from ec2tasks.aws.images import Image
from ec2tasks.aws.launch_request import Candidate, LaunchPlan
from ec2tasks.aws.networks import Subnet
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import State, open_state
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.launching import launch_patiently, taken_back

NOON = datetime(2026, 11, 1, 12)
ANSWER = {
    "InstanceId": "i-1",
    "State": {"Name": "pending"},
    "InstanceType": "g5.xlarge",
    "Placement": {"AvailabilityZone": "eu-central-1a"},
    "LaunchTime": NOON,
}


@pytest.fixture
def state(tmp_path: Path) -> State:
    return open_state({"XDG_STATE_HOME": str(tmp_path)})


class Ec2:
    """EC2 that refuses so many launches, and time that passes only in sleep."""

    def __init__(self, refuses: int, code: str = "InsufficientInstanceCapacity", slow: float = 0) -> None:
        self.refuses, self.code, self.slow = refuses, code, slow
        self.now, self.tokens = 0.0, list[str]()

    def run_instances(self, **asked: Any) -> dict[str, Any]:
        self.tokens.append(asked["ClientToken"])
        self.now += self.slow
        if len(self.tokens) <= self.refuses:
            raise client_error(self.code)
        return {"Instances": [ANSWER]}

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def launched(state: State, ec2: Ec2, **options: object) -> str:
    asked = settings(**options)
    context = call_context(state, **options)
    object.__setattr__(context, "aws", Aws(endpoint=AWS, region=asked.region, _kept={("ec2", 1): ec2}))
    zone = Subnet(id="subnet-1", zone="eu-central-1a", vpc="vpc-1")
    plan = LaunchPlan(
        settings=asked,
        tags={},
        image=Image(id="ami-1", name="x", user="ubuntu", root_device="/dev/sda1"),
        key_name="kim",
        public_key=None,
        group_id="sg-1",
        profile=None,
        candidates=(Candidate(instance_type="g5.xlarge", subnet=zone),),
    )
    instance = launch_patiently(
        context,
        plan,
        sleep=ec2.sleep,
        clock=lambda: ec2.now,
        now=lambda: NOON + timedelta(seconds=ec2.now),
    )
    assert launch_journal.read(state, context.key)
    return instance.id


def test_without_wait_capacity_it_is_asked_for_once(state: State) -> None:
    ec2 = Ec2(refuses=9)
    with pytest.raises(Failure, match="grants no instance"):
        launched(state, ec2)
    assert len(ec2.tokens) == 1


def test_it_is_asked_for_until_it_is_granted(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    ec2 = Ec2(refuses=3)
    assert launched(state, ec2, wait_capacity="2h") == "i-1"
    assert ec2.now == 180
    said = capsys.readouterr().err
    assert said.count("no g5.xlarge in eu-central-1a: Insufficient") == 1
    assert "12:02: no capacity in any of 1 places, asked 3 times since 12:00: asking again in 60 s" in said
    assert "until 14:00" in said
    # A refusal ends a launch: the next one is another to AWS.
    assert len(set(ec2.tokens)) == 4


def test_it_is_not_asked_for_beyond_the_time(state: State) -> None:
    ec2 = Ec2(refuses=999)
    with pytest.raises(Failure, match="asked 121 times since 12:00") as caught:
        launched(state, ec2, wait_capacity="2h")
    assert ec2.now == 7200
    assert "said AWS" in str(caught.value)


@pytest.mark.parametrize("slow", [0.0, 3.0, 59.0, 61.0, 500.0])
@pytest.mark.parametrize("limit", ["1s", "59s", "60s", "65s", "2min", "1h"])
def test_however_slow_aws_is_the_end_is_a_refusal(state: State, limit: str, slow: float) -> None:
    ec2 = Ec2(refuses=9999, slow=slow)
    with pytest.raises(Failure, match="grants no instance"):
        launched(state, ec2, wait_capacity=limit)


@pytest.mark.parametrize("code", ["VcpuLimitExceeded", "Unsupported"])
def test_what_no_waiting_mends_is_not_waited_for(state: State, code: str) -> None:
    ec2 = Ec2(refuses=999, code=code)
    with pytest.raises(Failure):
        launched(state, ec2, wait_capacity="2h")
    assert ec2.now == 0


@pytest.mark.parametrize(
    ("state_now", "code", "back"),
    [
        ("terminated", "Server.InsufficientInstanceCapacity", True),
        ("shutting-down", "Server.InternalError", True),
        ("terminated", "Client.InternalError", False),
        ("terminated", "Client.UserInitiatedShutdown", False),
        ("stopped", "Server.InsufficientInstanceCapacity", False),
    ],
)
def test_what_aws_took_back_is_a_refusal(state_now: str, code: str, back: bool) -> None:
    refusal = taken_back(replace(INSTANCE, state=state_now, reason_code=code, reason=f"{code}: no room"))
    assert (refusal is not None) is back
    if refusal:
        assert (refusal.code, refusal.text) == (code.partition(".")[2], f"{code}: no room")
