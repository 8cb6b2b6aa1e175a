from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st
from support.project import ScratchProject
from support.values import client_error

from ec2tasks.aws.client import Aws
from ec2tasks.aws.credential_errors import UNUSABLE_FILES
from ec2tasks.aws.errors import DENIED_CODES, error_code, error_region, explain, note_region
from ec2tasks.aws.explanations import LADDER, explanation

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "aws_errors.yaml").read_text(encoding="utf-8")
)


def answer(case: dict[str, Any]) -> ClientError:
    said = {"Error": {"Code": case["code"], "Message": case["text"]}}
    note_region(said, {"client_region": case.get("region", "eu-central-1")})
    return ClientError(said, case.get("operation", "RunInstances"))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['code']}-{case['says'][0]}" for case in CASES])
def test_an_error_says_what_aws_said_and_what_to_type(case: dict[str, Any]) -> None:
    failure = explain(answer(case))
    assert failure
    operation = case.get("operation", "RunInstances")
    assert failure.what == f"AWS refuses {operation}: {case['code']}: {case['text']}"
    for word in case["says"]:
        assert word in str(failure.hint)
    for word in case.get("not", []):
        assert word not in str(failure.hint)


def test_every_rung_of_the_ladder_is_reached() -> None:
    reached = [explanation(case["code"], case["text"], case.get("region", "eu-central-1")) for case in CASES]
    assert [rung for rung in LADDER if rung not in reached] == []


OPERATIONS = st.sampled_from(["RunInstances", "DescribeInstances", "GetInstanceProfile", ""])
KNOWN = st.sampled_from(sorted({case["code"] for case in CASES} | set(DENIED_CODES)))


@given(st.one_of(st.text(), KNOWN, KNOWN.map(lambda code: f"{code}.More")), st.text(), OPERATIONS)
def test_any_answer_that_is_an_error_becomes_one_failure_with_its_words(
    code: str, text: str, operation: str
) -> None:
    failure = explain(client_error(code, text, operation))
    assert failure
    assert code in failure.what
    assert text.strip() in failure.what
    assert operation in failure.what
    assert failure.hint
    assert "{" not in failure.hint
    assert all(char.isprintable() for line in str(failure.message).splitlines() for char in line)


@pytest.mark.parametrize(
    "answered", [{}, {"Error": {}}, {"Error": {"Code": "X"}}, {"Error": {"Message": "y"}}]
)
def test_an_answer_that_lacks_a_part_is_told_as_far_as_it_goes(answered: dict[str, Any]) -> None:
    failure = explain(ClientError(answered, "DescribeImages"))  # type: ignore[arg-type]
    assert failure
    words = ["AWS refuses DescribeImages", *answered.get("Error", {}).values()]
    assert failure.what == ": ".join(words)


def test_a_missing_right_is_named() -> None:
    text = (
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/kim is not authorized to"
        " perform: ec2:DescribeImages because no identity-based policy allows the ec2:DescribeImages action"
    )
    failure = explain(client_error("UnauthorizedOperation", text, operation="DescribeImages"))
    assert failure
    assert failure.what == f"AWS refuses DescribeImages: UnauthorizedOperation: {text}"
    assert "administrator for `ec2:DescribeImages`; `ec2tasks admin.policy`" in str(failure.hint)


def test_a_missing_right_that_aws_does_not_name_is_that_of_the_call() -> None:
    text = "You are not authorized to perform this operation. Encoded authorization failure message: aB3_x-"
    failure = explain(client_error("UnauthorizedOperation", text, operation="DescribeImages"))
    assert failure
    assert "aB3" not in failure.what
    assert "the right to call `DescribeImages`" in str(failure.hint)
    assert "--encoded-message aB3_x-`" in str(failure.hint)


def test_what_the_organization_forbids_is_not_asked_of_the_account_s_policy_first() -> None:
    text = (
        "User: arn:aws:iam::1:user/kim is not authorized to perform: ec2:RunInstances on resource: x with an"
        " explicit deny in a service control policy"
    )
    failure = explain(client_error("UnauthorizedOperation", text))
    assert failure
    assert str(failure.hint).startswith("your organization forbids it")


@pytest.mark.parametrize(
    ("region", "site"),
    [
        ("eu-west-1", "console.aws.amazon.com/"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com/"),
        ("eusc-de-east-1", "console.amazonaws-eusc.eu/"),
        ("cn-north-1", "console.amazonaws.cn/"),
    ],
)
def test_the_console_is_that_of_the_region_s_part_of_aws(region: str, site: str) -> None:
    failure = explain(answer({"code": "VcpuLimitExceeded", "text": "x", "region": region}))
    assert failure
    assert f"https://{site}servicequotas/" in str(failure.hint)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "User: arn:aws:iam::1:user/kim is not authorized to perform: sts:AssumeRole on resource: x",
            "the role must trust you",
        ),
        ("MultiFactorAuthentication failed with invalid MFA one time pass code.", "wait for the next one"),
    ],
)
def test_a_role_that_does_not_let_you_in_is_no_right_of_ec2tasks(text: str, says: str) -> None:
    failure = explain(client_error("AccessDenied", text, operation="AssumeRole"))
    assert failure
    assert says in str(failure.hint)
    assert "admin.policy" not in str(failure.hint)


def test_what_boto3_can_t_ask_is_no_traceback() -> None:
    failure = explain(exceptions.ParamValidationError(report="Tags: too long"))
    assert failure
    assert "Tags: too long" in failure.what


def test_the_region_that_was_asked_is_known_of_an_error(aws: Aws) -> None:
    with pytest.raises(ClientError) as caught:
        aws.ec2.describe_instances(InstanceIds=["i-0123456789abcdef0"])
    assert error_region(caught.value) == aws.region


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.NoCredentialsError(), "no AWS credentials"),
        (exceptions.ProfileNotFound(profile="work"), "work"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "can't be reached"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "can't be reached"),
        (ResponseParserError("Unable to parse response, invalid XML:\nb'<html>'"), "is not AWS: Unable"),
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
    ],
)
def test_a_login_that_has_ended_is_told_how_to_renew(error: Exception) -> None:
    failure = explain(error)
    assert failure
    assert "aws sso login" in str(failure.hint)
    assert failure.what


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), OSError("z")])
def test_what_is_not_aws_s_flies(error: Exception) -> None:
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
