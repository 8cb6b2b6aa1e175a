"""What EC2 says of instance types: their processors' architecture and number, and their GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from ec2tasks.aws.client import Aws
from ec2tasks.base.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class TypeFacts:
    """What a type is: `arch` of its processors, how many `vcpus` count for a quota, how many GPUs."""

    arch: str
    vcpus: int
    gpus: int


def type_facts(aws: Aws, instance_types: Sequence[str]) -> dict[str, TypeFacts]:
    """The facts of each of these instance types that the region knows.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html
    """
    pages = aws.ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "instance-type", "Values": list(instance_types)}]
    )
    return {
        info["InstanceType"]: TypeFacts(
            arch=info["ProcessorInfo"]["SupportedArchitectures"][-1],
            vcpus=info.get("VCpuInfo", {}).get("DefaultVCpus", 0),
            gpus=sum(gpu.get("Count", 0) for gpu in info.get("GpuInfo", {}).get("Gpus", [])),
        )
        for page in pages
        for info in page["InstanceTypes"]
    }
