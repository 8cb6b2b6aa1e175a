from __future__ import annotations

import pytest

from ec2tasks.aws.quotas import quota_of, raise_hint


@pytest.mark.parametrize(
    ("name", "spot", "code"),
    [
        ("g4dn.xlarge", False, "L-DB2E81BA"),
        ("vt1.3xlarge", True, "L-3819A6DF"),
        ("p4d.24xlarge", False, "L-417A185B"),
        ("t3.micro", False, "L-1216C47A"),
        ("inf2.xlarge", False, "L-1945791B"),
        ("u-6tb1.metal", False, None),
    ],
)
def test_a_type_s_quota(name: str, spot: bool, code: str | None) -> None:
    quota = quota_of(name, spot=spot)
    assert (quota and quota.code) == code


def test_a_higher_quota_is_asked_for_by_its_code() -> None:
    hint = raise_hint("g5.xlarge", quota_of("g5.xlarge", spot=False), "eu-central-1")
    assert "--quota-code L-DB2E81BA" in hint
    assert "--region eu-central-1" in hint
    assert "servicequotas" in raise_hint("u-6tb1.metal", None, "eu-central-1")
