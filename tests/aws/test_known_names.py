from __future__ import annotations

import subprocess
import sys

from ec2tasks.aws.known_names import instance_types, regions
from ec2tasks.config.schema import KEYS_BY_NAME


def test_the_types_and_regions_that_boto3_knows_are_known() -> None:
    assert {*KEYS_BY_NAME["instance_type"].default, "p4d.24xlarge", "t3.micro"} <= set(instance_types())
    assert {"eu-central-1", "us-east-1", "cn-north-1"} <= set(regions())
    assert not [name for name in regions() if "global" in name]


def test_nothing_is_imported_for_it() -> None:
    code = (
        "import sys; from ec2tasks.aws.known_names import *; instance_types(); regions();"
        "print([one for one in ('boto3', 'botocore') if one in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
