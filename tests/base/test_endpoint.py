from __future__ import annotations

from ec2tasks.base.endpoint import AWS, Endpoint


def test_aws_gets_the_user_s_own_credentials_and_no_other_endpoint_does() -> None:
    assert not AWS.is_own
    assert AWS.api_url is None
    assert Endpoint(name="local", access_key="a", secret_key="b").is_own
