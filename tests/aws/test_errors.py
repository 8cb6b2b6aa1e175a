from __future__ import annotations

import pytest
from botocore import exceptions
from support.values import client_error

from ec2tasks.aws.errors import HINTS, error_code, explain


@pytest.mark.parametrize("code", sorted(HINTS))
def test_a_known_error_says_what_to_type(code: str) -> None:
    failure = explain(client_error(code))
    assert failure
    assert failure.hint == HINTS[code]
    assert code in failure.what
    assert "said AWS" in failure.what


def test_a_missing_right_is_named() -> None:
    failure = explain(client_error("UnauthorizedOperation", operation="DescribeImages"))
    assert failure
    assert "DescribeImages" in str(failure.hint)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.NoCredentialsError(), "no AWS credentials"),
        (exceptions.ProfileNotFound(profile="work"), "work"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "can't be reached"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "can't be reached"),
    ],
)
def test_what_keeps_a_call_from_aws(error: Exception, words: str) -> None:
    failure = explain(error)
    assert failure
    assert words in failure.what
    assert failure.hint


@pytest.mark.parametrize(
    "error",
    [
        exceptions.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.SSOTokenLoadError(error_msg="Token for https://x does not exist"),
        exceptions.CredentialRetrievalError(provider="custom-process", error_msg="login first"),
    ],
)
def test_a_login_that_has_ended_is_told_how_to_renew(error: Exception) -> None:
    failure = explain(error)
    assert failure
    assert "aws sso login" in str(failure.hint)
    assert failure.what


@pytest.mark.parametrize("error", [client_error("SomethingNew"), ValueError("x"), KeyError("y")])
def test_what_nobody_knows_flies(error: Exception) -> None:
    assert explain(error) is None


def test_the_code_of_what_has_none() -> None:
    assert error_code(ValueError()) == ""
