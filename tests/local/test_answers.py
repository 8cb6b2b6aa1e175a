from __future__ import annotations

import json

import pytest

from ec2tasks.local.answers import Call, Refusal, error_body, read_call, throttle_refusal

FORM = "application/x-www-form-urlencoded; charset=utf-8"
SCOPE = "AWS4-HMAC-SHA256 Credential=key/20261101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def test_a_form_is_read() -> None:
    call = read_call(SCOPE.format("ec2"), "", FORM, "", b"Action=RunInstances&InstanceType=a.b&X.1=p&X.2=q")
    assert (call.service, call.region, call.action) == ("ec2", "eu-west-1", "RunInstances")
    assert call.parameters["InstanceType"] == "a.b"
    assert call.list_parameter("X") == ["p", "q"]


def test_a_target_and_a_query_are_read() -> None:
    assert read_call(
        SCOPE.format("ssm"), "AmazonSSM.GetParameter", "application/x-amz-json-1.1", "", b""
    ) == Call(service="ssm", region="eu-west-1", action="GetParameter")
    assert (
        read_call(SCOPE.format("sts"), "", "", "Action=GetCallerIdentity", b"").action == "GetCallerIdentity"
    )


@pytest.mark.parametrize("authorization", ["", "Basic x", "AWS4-HMAC-SHA256 Credential=a/b, x"])
def test_without_a_scope_it_is_s3(authorization: str) -> None:
    assert read_call(authorization, "", "", "", b"").service == "s3"


@pytest.mark.parametrize("service", ["ec2", "s3", "sts", "iam"])
def test_errors_are_in_xml_and_escaped(service: str) -> None:
    kind, body = error_body(service, Refusal(code="X", message="a < b"))
    assert kind == "text/xml"
    assert b"<Code>X</Code><Message>a &lt; b</Message>" in body


def test_errors_of_ssm_are_in_json() -> None:
    _, body = error_body("ssm", Refusal(code="X", message="m"))
    assert json.loads(body) == {"__type": "X", "message": "m"}


def test_each_service_has_its_own_word_for_too_many_calls() -> None:
    assert throttle_refusal("ec2") == Refusal(
        code="RequestLimitExceeded", message="Request limit exceeded.", status=503
    )
    assert throttle_refusal("ssm").code == "ThrottlingException"
    assert throttle_refusal("iam").code == "Throttling"
