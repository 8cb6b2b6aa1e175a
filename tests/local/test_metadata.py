from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus

import pytest

from ec2tasks.local.metadata import Facts, Tokens, answer, lookup

FACTS = Facts(
    instance_id="i-1",
    instance_type="g5.xlarge",
    image_id="ami-1",
    region="eu-west-1",
    zone="eu-west-1a",
    account="1",
    hostname="ip-10-0-0-1.eu-west-1.compute.internal",
    local_ipv4="10.0.0.1",
)
TOKEN = "x-aws-ec2-metadata-token"
TTL = "x-aws-ec2-metadata-token-ttl-seconds"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def get(path: str, facts: Facts = FACTS, method: str = "GET") -> tuple[HTTPStatus, str]:
    tokens = Tokens()
    given = answer(method, path, {TOKEN: tokens.give(60)}, facts=lambda: facts, tokens=tokens)
    return given.status, given.body.decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/latest/meta-data/instance-id", "i-1"),
        ("/latest/meta-data/instance-type/", "g5.xlarge"),
        ("/latest/meta-data/placement/availability-zone", "eu-west-1a"),
        ("/latest/meta-data/placement/", "availability-zone\nregion"),
        ("/latest/meta-data/placement", "availability-zone\nregion"),
        ("/latest", "dynamic/\nmeta-data/"),
    ],
)
def test_values_and_listings(path: str, expected: str) -> None:
    assert get(path) == (HTTPStatus.OK, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/nothing",
        "/latest/meta-data/instance-i",
        "/latest/meta-data/iam/info",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/spot/instance-action",
        "/latest/meta-data/public-ipv4",
        "/latest/user-data",
        "/other",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    assert get(path)[0] == HTTPStatus.NOT_FOUND


def test_there_is_no_answer_without_a_token() -> None:
    tokens = Tokens()
    for headers in ({}, {TOKEN: ""}, {TOKEN: "guess"}):
        given = answer("GET", "/latest/meta-data/", headers, facts=lambda: FACTS, tokens=tokens)
        assert given.status == HTTPStatus.UNAUTHORIZED


def test_a_token_ends() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    token = tokens.give(60)
    clock.now = 59
    assert tokens.good(token)
    clock.now = 60
    assert not tokens.good(token)


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({TTL: "60"}, "PUT", HTTPStatus.OK),
        ({TTL: "60"}, "GET", HTTPStatus.METHOD_NOT_ALLOWED),
        ({}, "PUT", HTTPStatus.BAD_REQUEST),
        ({TTL: "0"}, "PUT", HTTPStatus.BAD_REQUEST),
        ({TTL: "21601"}, "PUT", HTTPStatus.BAD_REQUEST),
        ({TTL: "60", "x-forwarded-for": "1.2.3.4"}, "PUT", HTTPStatus.FORBIDDEN),
    ],
)
def test_tokens_are_asked_for_as_on_aws(headers: dict[str, str], method: str, status: HTTPStatus) -> None:
    given = answer(method, "/latest/api/token", headers, facts=lambda: FACTS, tokens=Tokens())
    assert given.status == status


def test_a_role_has_credentials() -> None:
    facts = replace(FACTS, profile={"InstanceProfileArn": "arn"}, role="r", credentials={"AccessKeyId": "A"})
    assert get("/latest/meta-data/iam/security-credentials/", facts) == (HTTPStatus.OK, "r")
    assert json.loads(get("/latest/meta-data/iam/security-credentials/r", facts)[1]) == {"AccessKeyId": "A"}
    assert json.loads(get("/latest/meta-data/iam/info", facts)[1])["InstanceProfileArn"] == "arn"


def test_a_spot_instance_is_told_its_end() -> None:
    facts = replace(FACTS, interruption={"action": "terminate", "time": "2026-11-01T00:00:00Z"})
    assert json.loads(get("/latest/meta-data/spot/instance-action", facts)[1])["action"] == "terminate"


def test_user_data_tags_and_identity() -> None:
    facts = replace(FACTS, user_data=b"\xff#!", tags={"Name": "n"}, key_name="k", public_key="ssh-ed25519 A")
    assert lookup(facts, "/user-data") == b"\xff#!"
    assert lookup(facts, "/meta-data/tags/instance/Name") == b"n"
    assert lookup(facts, "/meta-data/public-keys/0/openssh-key") == b"ssh-ed25519 A"
    assert json.loads(lookup(facts, "/dynamic/instance-identity/document") or b"")["region"] == "eu-west-1"
