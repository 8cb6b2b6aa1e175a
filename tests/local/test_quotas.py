"""The local EC2's quotas: answered as AWS does, and refused by where a fault asks for that."""

from __future__ import annotations

import pytest
from support.local_ec2 import REGION, LocalEc2

from ec2tasks.aws.client import Aws
from ec2tasks.aws.usage import quota_usage
from ec2tasks.local.quotas import LIMIT, refusal


def test_a_quota_is_told_with_what_runs(local_ec2: LocalEc2) -> None:
    aws = Aws(endpoint=local_ec2.endpoint, region=REGION)
    told = quota_usage(aws, ["g4dn.xlarge", "m5.large", "u-6tb1.metal"], spot=False)
    assert {name: usage.limit for name, usage in told.items()} == {"g4dn.xlarge": LIMIT, "m5.large": LIMIT}
    assert told["g4dn.xlarge"].quota.code == "L-DB2E81BA"


@pytest.mark.parametrize(
    ("limits", "running", "spot", "code"),
    [
        ({}, 99, False, None),
        ({"L-DB2E81BA": 0}, 0, False, "VcpuLimitExceeded"),
        ({"L-DB2E81BA": 0}, 0, True, None),
        ({"L-3819A6DF": 0}, 0, True, "MaxSpotInstanceCountExceeded"),
        ({"L-DB2E81BA": 8}, 1, False, None),
        ({"L-DB2E81BA": 8}, 2, False, "VcpuLimitExceeded"),
    ],
)
def test_a_launch_beyond_a_quota_is_refused(
    limits: dict[str, float], running: int, spot: bool, code: str | None
) -> None:
    used = [("g5.xlarge", False, 4)] * running
    refused = refusal("g4dn.xlarge", spot=spot, vcpus=4, running=used, limits=limits)
    assert (refused.code if refused else None) == code
