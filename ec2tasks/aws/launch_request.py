"""A launch as it is decided on before EC2 is asked, and the RunInstances request that asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ec2tasks.aws.images import Image
from ec2tasks.aws.networks import Subnet
from ec2tasks.aws.prices import price_of, shipped_rates
from ec2tasks.aws.user_data import user_data
from ec2tasks.config.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One instance type in one subnet, which EC2 may be asked for."""

    instance_type: str
    subnet: Subnet


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """All that is decided about a launch before EC2 is asked; `candidates` are tried in their order."""

    settings: Settings
    tags: Mapping[str, str]
    image: Image
    key_name: str
    public_key: str | None
    group_id: str
    profile: str | None
    candidates: tuple[Candidate, ...]


def candidates(
    types: Sequence[str], zones: Mapping[str, Iterable[str]], subnets: Sequence[Subnet]
) -> list[Candidate]:
    """What to ask EC2 for: type by type in the order given, in every zone that offers it and has a subnet."""
    return [
        Candidate(instance_type=instance_type, subnet=subnet)
        for instance_type in types
        for subnet in subnets
        if subnet.zone in zones.get(instance_type, ())
    ]


def run_instances_request(plan: LaunchPlan, candidate: Candidate, token: str) -> dict[str, Any]:
    """The RunInstances request: everything in one call, so that nothing exists without its tags.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    price = price_of(shipped_rates(plan.settings.region), candidate.instance_type).instance
    tags = {**plan.tags, **({"ec2tasks:price": f"{price:g}"} if price and not plan.settings.spot else {})}
    tag_list = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    request: dict[str, Any] = {
        "ImageId": plan.image.id,
        "InstanceType": candidate.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
        "KeyName": plan.key_name,
        **_network(plan, candidate.subnet),
        "UserData": user_data(plan.settings),
        "InstanceInitiatedShutdownBehavior": "terminate" if plan.settings.spot else "stop",
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpEndpoint": "enabled",
            "HttpPutResponseHopLimit": 2,
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list} for kind in ("instance", "volume", "network-interface")
        ],
    }
    if plan.profile:
        request["IamInstanceProfile"] = {"Name": plan.profile}
    if disks := _disks(plan):
        request["BlockDeviceMappings"] = disks
    if plan.settings.capacity_reservation:
        target = {"CapacityReservationId": plan.settings.capacity_reservation}
        request["CapacityReservationSpecification"] = {"CapacityReservationTarget": target}
    if plan.settings.spot:
        request["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {"SpotInstanceType": "one-time"},
        }
    return request


def _disks(plan: LaunchPlan) -> list[dict[str, Any]]:
    """What is asked of the disks beyond what the image says of them: that each goes with the instance.

    A disk that stays would go on costing. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/block-device-mapping-concepts.html
    """
    root = {"VolumeSize": plan.settings.disk_gb, "VolumeType": "gp3"} if plan.settings.disk_gb else {}
    asked = {name: dict(disk) for name, disk in plan.image.kept_disks.items()}
    if root:
        asked[plan.image.root_device] = root
    return [
        {"DeviceName": name, "Ebs": {**disk, "DeleteOnTermination": True}} for name, disk in asked.items()
    ]


def _network(plan: LaunchPlan, subnet: Subnet) -> dict[str, Any]:
    """Where the instance stands in the network: with a public address, which not every subnet gives unasked.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
    """
    if subnet.public:
        return {"SecurityGroupIds": [plan.group_id], "SubnetId": subnet.id}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet.id,
        "Groups": [plan.group_id],
        "AssociatePublicIpAddress": True,
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface]}
