"""The local EC2 answers prices as AWS does, to whoever signs."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from support.local_ec2 import REGION, LocalEc2

from ec2tasks.aws.client import Aws
from ec2tasks.aws.price_list import DISK, listed_prices, spot_prices
from ec2tasks.local.prices import hourly


def test_the_price_list_knows_types_disks_and_what_it_does_not_know(local_ec2: LocalEc2) -> None:
    aws = Aws(endpoint=local_ec2.endpoint, region=REGION)
    assert listed_prices(aws, ["g4dn.xlarge", DISK, "p9.huge"]) == {"g4dn.xlarge": 0.6575, DISK: 0.1}
    assert listed_prices(aws.in_region("us-east-1"), ["g4dn.xlarge"]) == {"g4dn.xlarge": 0.526}


def test_a_spot_price_is_one_of_its_zone_and_below_that_on_demand(local_ec2: LocalEc2) -> None:
    told = spot_prices(Aws(endpoint=local_ec2.endpoint, region=REGION), ["g4dn.xlarge", "g5.xlarge"])
    assert {zone for name, zone in told if name == "g4dn.xlarge"} == {f"{REGION}{zone}" for zone in "abc"}
    on_demand = {name: hourly(name, REGION) or 0.0 for name in ("g4dn.xlarge", "g5.xlarge")}
    assert all(price < on_demand[name] for (name, _), price in told.items())


def test_nobody_is_answered_without_a_key(local_ec2: LocalEc2) -> None:
    client = local_ec2.client("pricing", "us-east-1")
    client._request_signer._credentials.secret_key = "another"
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.get_products(ServiceCode="AmazonEC2")
