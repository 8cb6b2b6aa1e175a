"""A launch as it is decided on before EC2 is asked, and the RunInstances request that asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from ec2tasks.aws.images import Image
from ec2tasks.aws.instances import DISK_PRICE_TAG, PRICE_TAG
from ec2tasks.aws.networks import Subnet
from ec2tasks.aws.prices import Price, Rates, price_of
from ec2tasks.aws.user_data import user_data
from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One instance type in one subnet, which EC2 may be asked for."""

    instance_type: str
    subnet: Subnet

    def key(self, *, spot: bool) -> str:
        """What its price is kept under."""
        return f"{self.instance_type}@{self.subnet.zone}{' spot' if spot else ''}"


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """All that is decided about a launch before EC2 is asked; `candidates` are tried in their order.

    `prices`: the dollars an hour of each candidate whose price is known, by its key: as it runs, and stopped.
    """

    settings: Settings
    tags: Mapping[str, str]
    image: Image
    key_name: str
    public_key: str | None
    group_id: str
    profile: str | None
    candidates: tuple[Candidate, ...]
    prices: Mapping[str, Sequence[float]] = field(default_factory=dict)


def plan_prices(plan: LaunchPlan, rates: Rates) -> dict[str, Price]:
    """What each candidate would cost, by its key; also on demand, where that may be asked for after spot."""
    settings, disk_gb = plan.settings, plan.image.total_gb(plan.settings.disk_gb)
    kinds = [settings.spot, *([False] if settings.spot and settings.spot_fallback else [])]
    return {
        candidate.key(spot=spot): price_of(
            rates,
            candidate.instance_type,
            zone=candidate.subnet.zone,
            spot=spot,
            disk_gb=disk_gb,
            public=settings.via == VIA_PUBLIC,
        )
        for spot in kinds
        for candidate in plan.candidates
    }


def price_figures(prices: Mapping[str, Price]) -> dict[str, list[float]]:
    """What a plan keeps of prices: those known, by the candidate's key, as it runs and stopped."""
    return {
        key: [round(price.hourly, 4), round(price.stopped, 4)]
        for key, price in prices.items()
        if price.hourly is not None
    }


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
    figures = plan.prices.get(candidate.key(spot=plan.settings.spot), ())
    priced = {tag: f"{usd:g}" for tag, usd in zip((PRICE_TAG, DISK_PRICE_TAG), figures, strict=False)}
    tags = {**plan.tags, **priced}
    tag_list = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    request: dict[str, Any] = {
        "ImageId": plan.image.id,
        "InstanceType": candidate.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
        "KeyName": plan.key_name,
        **_network(plan, candidate.subnet),
        "UserData": user_data(plan.settings, next(iter(figures), None)),
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
    """Where the instance stands in the network, with a public address where it is reached by that alone.

    Not every subnet gives one unasked, and one that is not used costs and can be attacked.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
    """
    public = plan.settings.via == VIA_PUBLIC
    if subnet.public is public:
        return {"SecurityGroupIds": [plan.group_id], "SubnetId": subnet.id}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet.id,
        "Groups": [plan.group_id],
        "AssociatePublicIpAddress": public,
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface]}
