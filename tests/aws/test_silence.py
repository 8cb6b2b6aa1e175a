from __future__ import annotations

import socket

import pytest
from botocore.exceptions import ReadTimeoutError
from support.values import client_error

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import UnreachableError, explain
from ec2tasks.aws.silence import passes
from ec2tasks.base.endpoint import Endpoint


def test_an_endpoint_that_accepts_and_says_nothing_is_asked_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(0.5)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        endpoint = Endpoint(name="mute", api_url=url, access_key="a", secret_key="b", answer_seconds=1)
        aws = Aws(endpoint=endpoint, region="eu-central-1")
        with pytest.raises(ReadTimeoutError) as caught:
            aws.ec2.describe_instances()
        with pytest.raises(ReadTimeoutError):
            aws.ssm.get_parameter(Name="x")  # who was silent is not given as much time again
        asked = [mute.accept()[0] for _ in range(3)]
        with pytest.raises(TimeoutError):
            mute.accept()
        for connection in asked:
            connection.close()
    assert capsys.readouterr().err.count("no answer from AWS in 1 s") == 1
    told = explain(caught.value)
    assert isinstance(told, UnreachableError)
    assert "for 1 s each time" in told.what


def test_of_silence_only_one_more_is_waited_for_and_of_throttling_as_long_as_before() -> None:
    silence, throttled = ReadTimeoutError(endpoint_url="https://ec2"), client_error("RequestLimitExceeded")
    again = passes()
    assert [again(one) for one in (throttled, throttled, silence, throttled, silence)] == [
        *(True, True, True, True),
        False,
    ]
    assert not passes()(client_error("UnauthorizedOperation"))
