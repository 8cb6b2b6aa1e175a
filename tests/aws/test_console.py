from __future__ import annotations

import base64

import pytest
from botocore.exceptions import ClientError
from support.values import client_error

from ec2tasks.aws.client import ATTEMPTS, Aws
from ec2tasks.aws.console import console_output
from ec2tasks.base.endpoint import AWS

TEXT = "-----BEGIN SSH HOST KEY KEYS-----\n"


class Console:
    """EC2 that answers GetConsoleOutput with this text, or error."""

    def __init__(self, answer: str | Exception | None) -> None:
        self.answer = answer

    def get_console_output(self, **_request: object) -> dict[str, str]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {} if self.answer is None else {"Output": self.answer}


def shown(answer: str | Exception | None, *instead: str | None) -> str:
    """What is shown of that answer; asked for so often, each time with these words for a missing right."""
    aws = Aws(endpoint=AWS, region="eu-central-1", _kept={("ec2", ATTEMPTS): Console(answer)})
    return [console_output(aws, "i-1", instead=words) for words in instead or ("unseen",)][-1]


@pytest.mark.parametrize("answer", [TEXT, base64.b64encode(TEXT.encode()).decode()])
def test_the_console_is_readable_whether_or_not_boto3_decoded_it(answer: str) -> None:
    assert shown(answer) == TEXT


@pytest.mark.parametrize("answer", [None, client_error("UnsupportedOperation")])
def test_an_instance_that_has_shown_nothing_has_no_console(answer: Exception | None) -> None:
    assert shown(answer) == ""


DENIED = client_error("UnauthorizedOperation", operation="GetConsoleOutput")


def test_without_the_right_to_look_the_work_goes_on_and_says_how_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(DENIED, "the host key is taken at first sight", "the host key is taken at first sight") == ""
    assert capsys.readouterr().err.count("the host key is taken at first sight") == 1
    assert shown(DENIED, "") == ""
    assert capsys.readouterr().err == ""


def test_where_nothing_goes_on_without_the_right_to_look_that_is_aws_s_refusal() -> None:
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        shown(DENIED, None)
