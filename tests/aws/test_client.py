from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from support.values import client_error, settings

from ec2tasks.aws.client import Aws, partition_of
from ec2tasks.base.endpoint import AWS
from ec2tasks.base.errors import UsageError


class Flaky:
    """RunInstances that fails so many times with one error before it answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.left, self.error, self.tokens = times, error, list[str]()

    def run_instances(self, **request: Any) -> dict[str, Any]:
        self.tokens.append(request["ClientToken"])
        if self.left:
            self.left -= 1
            raise self.error
        return {"Instances": [{"InstanceId": "i-1"}]}


def flaky(error: Exception, times: int) -> tuple[Aws, Flaky]:
    client = Flaky(error, times)
    return Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", 1): client}), client


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-central-1", "aws"),
        ("us-gov-east-1", "aws-us-gov"),
        ("cn-northwest-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_a_region_of_each_part_of_aws_is_known(region: str, partition: str) -> None:
    assert partition_of(region) == partition
    Aws(endpoint=AWS, region=region).check_region()
    assert settings(region=region).region == region


def test_a_region_of_no_part_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no region `xx-nowhere-1`"):
        partition_of("xx-nowhere-1")
    with pytest.raises(UsageError) as caught:
        Aws(endpoint=AWS, region="us-gove-west-1").check_region()
    assert "one of us-gov-west-1" in str(caught.value.hint)


def test_throttling_is_waited_out_with_the_same_token() -> None:
    aws, client = flaky(client_error("RequestLimitExceeded"), 3)
    instance = aws.run_instances({"ClientToken": "t"}, sleep=lambda _seconds: None)
    assert instance["InstanceId"] == "i-1"
    assert client.tokens == ["t"] * 4


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ReadTimeoutError(endpoint_url="https://x"),
        exceptions.ConnectionClosedError(endpoint_url="https://x"),
        client_error("502"),
    ],
)
def test_a_launch_whose_answer_was_lost_is_asked_for_again_with_its_token(error: Exception) -> None:
    aws, client = flaky(error, 1)
    assert aws.run_instances({"ClientToken": "t"}, sleep=lambda _seconds: None)["InstanceId"] == "i-1"
    assert client.tokens == ["t", "t"]


def test_a_want_of_capacity_is_not_asked_twice() -> None:
    aws, client = flaky(client_error("InsufficientInstanceCapacity"), 1)
    with pytest.raises(exceptions.ClientError):
        aws.run_instances({"ClientToken": "t"}, sleep=lambda _seconds: None)
    assert client.tokens == ["t"]


def test_a_start_for_which_there_is_no_room_is_not_asked_for_twice() -> None:
    asked: list[object] = []

    class NoRoom:
        def start_instances(self, **request: object) -> None:
            asked.append(request)
            raise client_error("InsufficientInstanceCapacity")

    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", 1): NoRoom()})
    with pytest.raises(exceptions.ClientError):
        aws.start_instance("i-1")
    assert len(asked) == 1
