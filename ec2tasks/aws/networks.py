"""The subnets that an instance can be launched in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet to launch in."""

    id: str
    zone: str
    vpc: str
    public: bool = True  # whether what is launched there gets a public address without being asked


def usable_subnets(aws: Aws, subnet_ids: Sequence[str] = ()) -> list[Subnet]:
    """The subnets to launch in: those named, else the default one of each zone.

    Raises Failure for none, UsageError for subnets of several networks: a security group is one network's.
    """
    filters: list[FilterTypeDef] = [{"Name": "default-for-az", "Values": ["true"]}]
    answer = (
        aws.ec2.describe_subnets(SubnetIds=list(subnet_ids))
        if subnet_ids
        else aws.ec2.describe_subnets(Filters=filters)
    )
    subnets = [
        Subnet(
            id=subnet["SubnetId"],
            zone=subnet["AvailabilityZone"],
            vpc=subnet["VpcId"],
            public=subnet.get("MapPublicIpOnLaunch", False),
        )
        for subnet in answer["Subnets"]
    ]
    if not subnets:
        raise Failure(
            f"the account has no default network in {aws.region}",
            hint="`aws ec2 create-default-vpc`, or subnet: subnet-… in ec2.yaml",
        )
    if len({subnet.vpc for subnet in subnets}) > 1:
        words = ", ".join(f"{subnet.id} is of {subnet.vpc}" for subnet in subnets)
        raise UsageError(f"the subnets are of several networks: {words}", hint="subnet: those of one network")
    order = list(subnet_ids)
    return sorted(subnets, key=lambda subnet: (order.index(subnet.id) if order else 0, subnet.zone))
