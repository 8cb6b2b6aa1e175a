"""Launching: what to ask EC2 for, where, in which order, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ec2tasks.aws.capacity import Refusal, none_granted
from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, warn_if_denied
from ec2tasks.aws.images import Image, architecture, choose_image
from ec2tasks.aws.key_pairs import ensure_key_pair
from ec2tasks.aws.prices import hourly_price
from ec2tasks.aws.security_groups import admit, security_group
from ec2tasks.aws.user_data import user_data
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import Tools
from ec2tasks.config.schema import DEFAULT_TYPES
from ec2tasks.config.settings import Settings

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

DEFAULT_PROFILE = "EC2ReadOnlyAccessToS3"
# Refusals after which another type or zone may be granted.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
NEXT_ONE_MAY_DO = (
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "Unsupported",
    "SpotMaxPriceTooLow",
    "VcpuLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "InstanceLimitExceeded",
    "InsufficientFreeAddressesInSubnet",
)


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet to launch in."""

    id: str
    zone: str
    vpc: str
    public: bool = True  # whether what is launched there gets a public address without being asked


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One combination to ask EC2 for."""

    instance_type: str
    subnet: Subnet


@dataclass(frozen=True, kw_only=True)
class Order:
    """Everything a launch needs that does not depend on the type and zone tried."""

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
    """Type by type in the order given, each in every zone that offers it and has a subnet."""
    return [
        Candidate(instance_type=one, subnet=subnet)
        for one in types
        for subnet in sorted(subnets, key=lambda subnet: subnet.zone)
        if subnet.zone in zones.get(one, ())
    ]


def run_instances_request(order: Order, candidate: Candidate, token: str) -> dict[str, Any]:
    """The RunInstances request: everything in one call, so that nothing exists without its tags.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    price = hourly_price(candidate.instance_type, order.settings.region)
    tags = {**order.tags, **({"ec2tasks:price": f"{price:g}"} if price and not order.settings.spot else {})}
    tag_list = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    request: dict[str, Any] = {
        "ImageId": order.image.id,
        "InstanceType": candidate.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
        "KeyName": order.key_name,
        **_network(order, candidate.subnet),
        "UserData": user_data(order.settings),
        "InstanceInitiatedShutdownBehavior": "terminate" if order.settings.spot else "stop",
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpEndpoint": "enabled",
            "HttpPutResponseHopLimit": 2,
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list} for kind in ("instance", "volume", "network-interface")
        ],
    }
    if order.profile:
        request["IamInstanceProfile"] = {"Name": order.profile}
    if order.settings.disk_gb:
        disk = {"VolumeSize": order.settings.disk_gb, "VolumeType": "gp3", "DeleteOnTermination": True}
        request["BlockDeviceMappings"] = [{"DeviceName": order.image.root_device, "Ebs": disk}]
    if order.settings.spot:
        request["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {"SpotInstanceType": "one-time"},
        }
    return request


def _network(order: Order, subnet: Subnet) -> dict[str, Any]:
    """Where the instance stands in the network: with a public address, which not every subnet gives unasked.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
    """
    if subnet.public:
        return {"SecurityGroupIds": [order.group_id], "SubnetId": subnet.id}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet.id,
        "Groups": [order.group_id],
        "AssociatePublicIpAddress": True,
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface]}


def prepare_order(
    aws: Aws, settings: Settings, tags: Mapping[str, str], *, home: Path, tools: Tools
) -> Order:
    """Check all that a launch names, at no cost. Raises UsageError or Failure for the first mistake."""
    user_data(settings)
    subnets = usable_subnets(aws, settings.subnet)
    zones = offers(aws, settings.instance_type)
    tried = candidates(settings.instance_type, zones, subnets)
    if not tried:
        raise _not_offered(aws, settings, zones, subnets)
    arch = architecture(aws, [one for one in settings.instance_type if one in zones])
    image = choose_image(aws, settings.image, arch=arch, user=settings.user)
    key_pair = ensure_key_pair(aws, settings.key_name, settings.key_file, home, tools)
    group_id = security_group(
        aws,
        settings.security_group,
        owner=settings.key_name,
        vpc=subnets[0].vpc,
        create=settings.create_security_group,
    )
    admit(aws, [group_id], owner=settings.key_name, port=aws.endpoint.ssh_port)
    return Order(
        settings=settings,
        tags={**tags, "ec2tasks:user": image.user},
        image=image,
        key_name=key_pair.name,
        public_key=key_pair.public,
        group_id=group_id,
        profile=instance_profile(aws, settings.iam_instance_profile),
        candidates=tuple(tried),
    )


def usable_subnets(aws: Aws, wanted: str | None) -> list[Subnet]:
    """The subnet asked for, else the default one of each zone."""
    filters: list[FilterTypeDef] = [{"Name": "default-for-az", "Values": ["true"]}]
    answer = (
        aws.ec2.describe_subnets(SubnetIds=[wanted]) if wanted else aws.ec2.describe_subnets(Filters=filters)
    )
    found = [
        Subnet(
            id=one["SubnetId"],
            zone=one["AvailabilityZone"],
            vpc=one["VpcId"],
            public=one.get("MapPublicIpOnLaunch", False),
        )
        for one in answer["Subnets"]
    ]
    if not found:
        raise Failure(
            f"the account has no default network in {aws.region}",
            hint="`aws ec2 create-default-vpc`, or subnet: subnet-… in ec2.yaml",
        )
    return found


def offers(aws: Aws, types: Sequence[str]) -> dict[str, set[str]]:
    """The zones of the region that offer each of these types; a type offered nowhere is left out.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
    """
    pages = aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    found: dict[str, set[str]] = {}
    for page in pages:
        for offer in page["InstanceTypeOfferings"]:
            found.setdefault(offer["InstanceType"], set()).add(offer["Location"])
    return found


def _not_offered(
    aws: Aws, settings: Settings, zones: Mapping[str, set[str]], subnets: Sequence[Subnet]
) -> UsageError:
    words = ", ".join(f"`{one}`" for one in settings.instance_type)
    if zones:
        places = ", ".join(sorted({zone for found in zones.values() for zone in found}))
        return UsageError(
            f"{words} is offered in {places}, where there is no subnet to launch in",
            hint=f"subnet: one in {places}; given: {', '.join(one.zone for one in subnets)}",
        )
    like = [one for name in settings.instance_type for one in aws.types_like(name) if one != name]
    known = sorted(offers(aws, like) if like else offers(aws, DEFAULT_TYPES))
    instead = f"--type {' or '.join(known)}; or " if known else ""
    return UsageError(
        f"{words} is not offered in {settings.region}", hint=f"{instead}another --region, or another --type"
    )


def instance_profile(aws: Aws, wanted: str | None) -> str | None:
    """The instance profile to launch with: the one asked for, else the usual one where the account has it."""
    name = wanted or DEFAULT_PROFILE
    try:
        aws.iam.get_instance_profile(InstanceProfileName=name)
        return name
    except Exception as error:
        # Not being allowed to look is no reason not to use what was asked for by name.
        if warn_if_denied(error, f"`{wanted}` is used unseen" if wanted else "the instance gets no role"):
            return wanted
        if error_code(error) != "NoSuchEntity":
            raise
    if wanted:
        raise UsageError(
            f"no instance profile `{wanted}` in the account",
            hint="`aws iam list-instance-profiles` lists them",
        )
    output.step(f"no instance profile {DEFAULT_PROFILE} in the account: the instance gets no AWS rights")
    return None


def launch(aws: Aws, order: Order, token: Callable[[Mapping[str, Any]], str]) -> InstanceTypeDef:
    """Ask EC2 for each candidate until one is granted, each request with the token made for it.

    Where none is at the spot price, each is asked for on demand, where the settings say so. Raises Failure
    with every refusal where none is granted.
    """
    refusals: list[Refusal] = []
    for priced in _prices_to_try(order):
        if priced is not order:
            output.step("no spot capacity anywhere: launching on demand")
        spot = priced.settings.spot
        for one in order.candidates:
            if any(refusal.holds_for(one.instance_type, spot=spot) for refusal in refusals):
                continue
            try:
                request = run_instances_request(priced, one, token="")
                return aws.run_instances({**request, "ClientToken": token(request)})
            except Exception as error:
                code = error_code(error)
                if code not in NEXT_ONE_MAY_DO:
                    raise
                zone = one.subnet.zone
                refusals.append(Refusal(instance_type=one.instance_type, zone=zone, spot=spot, code=code))
                output.step(f"no {refusals[-1].what} in {zone}: {refusals[-1].why}")
    raise none_granted(refusals, order.settings.region)


def _prices_to_try(order: Order) -> list[Order]:
    settings = order.settings
    if not (settings.spot and settings.spot_fallback):
        return [order]
    return [order, replace(order, settings=replace(settings, spot=False))]
