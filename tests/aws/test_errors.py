from __future__ import annotations

from pathlib import Path

import pytest
from botocore import exceptions
from support.project import ScratchProject
from support.values import client_error

from ec2tasks.aws.errors import HINTS, UNUSABLE_FILES, error_code, explain


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


def test_boto3_knows_each_exception_that_is_told_by_its_name() -> None:
    assert all(issubclass(getattr(exceptions, name), exceptions.BotoCoreError) for name in UNUSABLE_FILES)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"credentials": b"not ini {\n"}, "Unable to parse config file: "),
        ({"credentials": b"\xff\xfe"}, "Unable to parse config file: "),
        ({"credentials": b"[default]\nrole_arn = x\nsource_profile = nobody\n"}, '"nobody"'),
        ({"config": b"[default\n"}, "can't be read: "),
    ],
)
def test_aws_s_own_files_with_a_mistake_are_one_line_and_a_hint(
    files: dict[str, bytes], says: str, project: ScratchProject
) -> None:
    folder = Path(project.environ["HOME"]) / ".aws"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for task in ("status", "ls"):
        said = project.ec2tasks(task)
        assert said.code in (2, 125)
        assert len(said.err.splitlines()) == 2, said.err
        assert says in said.err
        assert "hint: mend " in said.err
