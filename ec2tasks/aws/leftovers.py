"""What still costs when its instance is gone: disks that ec2tasks launched, and public addresses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import warn_if_denied
from ec2tasks.aws.instances import OWNER_TAG
from ec2tasks.aws.prices import ADDRESS_HOUR, GIB_MONTH, HOURS_OF_MONTH
from ec2tasks.base.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A disk on no instance, or a public address that is kept; `monthly` is what it costs, in dollars.

    `ends` what ends it, as it is typed.
    """

    kind: str
    id: str
    region: str
    what: str
    monthly: float
    ends: str

    @property
    def line(self) -> str:
        """What it is, where, and what it costs."""
        return f"{self.kind} {self.id} ({self.what}) in {self.region} costs ≈ ${self.monthly:.2f} a month"


def left_volumes(aws: Aws, owner: str) -> list[Leftover]:
    """The user's disks that are on no instance: tagged when ec2tasks launched them, so no one else's.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html
    """
    asked: Any = [
        {"Name": f"tag:{OWNER_TAG}", "Values": [owner]},
        {"Name": "status", "Values": ["available"]},
    ]
    pages = aws.ec2.get_paginator("describe_volumes").paginate(Filters=asked)
    try:
        volumes = [volume for page in pages for volume in page["Volumes"]]
    except Exception as error:
        if not warn_if_denied(error, f"disks left behind in {aws.region} are not looked for"):
            raise
        return []
    return [
        Leftover(
            kind="disk",
            id=volume["VolumeId"],
            region=aws.region,
            what=f"{volume['Size']} GiB of {_name(volume) or 'an instance'} that is gone",
            monthly=volume["Size"] * GIB_MONTH,
            ends="`ec2tasks reap --force` ends it",
        )
        for volume in volumes
    ]


def kept_addresses(aws: Aws, owner: str, stopped: Collection[str]) -> list[Leftover]:
    """The public addresses that cost with nothing running on them: of these stopped instances, or the user's.

    ec2tasks makes none, so that they are the user's by their tag alone, and for the user to release.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html
    """
    try:
        addresses = aws.ec2.describe_addresses()["Addresses"]
    except Exception as error:
        if not warn_if_denied(error, f"addresses left behind in {aws.region} are not looked for"):
            raise
        return []
    return [
        _kept_address(aws.region, address)
        for address in addresses
        if address.get("InstanceId") in stopped
        or (not address.get("AssociationId") and _tags(address).get(OWNER_TAG) == owner)
    ]


def _kept_address(region: str, address: Mapping[str, Any]) -> Leftover:
    instance = address.get("InstanceId")
    release = f"aws ec2 release-address --region {region} --allocation-id {address.get('AllocationId')}"
    return Leftover(
        kind="address",
        id=address["PublicIp"],
        region=region,
        what=f"of {instance}, which is stopped" if instance else "on no instance",
        monthly=ADDRESS_HOUR * HOURS_OF_MONTH,
        ends=f"`{release}` ends it",
    )


def delete_volume(aws: Aws, volume_id: str) -> None:
    """Delete a disk that is on no instance: AWS refuses one that is.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html
    """
    aws.ec2.delete_volume(VolumeId=volume_id)


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def _name(described: Mapping[str, Any]) -> str:
    return _tags(described).get("Name", "")
