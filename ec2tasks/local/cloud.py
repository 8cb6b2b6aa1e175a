"""moto's models of instances and images, as the local EC2 uses them; only `lag` and `vpc` know them too.

moto says what the account holds; which hosts really run is the fleet's to say, and it is written back here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.models.instances import StateReason
from moto.iam.models import iam_backends
from moto.ssm.models import Parameter, ssm_backends

from ec2tasks.local import images
from ec2tasks.local.keys import ACCOUNT, Credentials
from ec2tasks.local.metadata import Facts

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


class LocalAmi(Ami):
    """An image with the snapshot size that ours has; moto's are all of 15 GiB."""

    size_gib = images.ROOT_GIB

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root device as AWS describes it."""
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.size_gib,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]


@dataclass(frozen=True, kw_only=True)
class Record:
    """An instance as moto has it."""

    id: str
    region: str
    state: str
    instance_type: str
    behavior: str
    spot: bool
    public: bool
    public_ip: str | None = None
    zone: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def seed_images(region: str) -> None:
    """Put our images in a region, once."""
    backend = ec2_backends[ACCOUNT][region]
    for image in images.IMAGES:
        if image.id_in(region) in backend.amis:
            return
        ami = LocalAmi(
            backend,
            image.id_in(region),
            name=image.name,
            description=image.name,
            owner_id=image.owner,
            owner_alias="amazon" if image.amazon else None,
            public=True,
            virtualization_type="hvm",
            architecture=image.architecture,
            creation_date=datetime.fromisoformat(image.created.replace("Z", "+00:00")),
            image_location=f"{'amazon' if image.amazon else image.owner}/{image.name}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name=image.root_device,
            sriov="simple",
            region_name=f"{region}a",
        )
        ami.size_gib = image.size_gib
        backend.amis[ami.id] = ami


def seed_route(region: str) -> None:
    """Give the default network of a region its way to the internet, once, as AWS's have it."""
    backend = ec2_backends[ACCOUNT][region]
    network = backend.get_default_vpc()
    if network is None or backend.describe_internet_gateways(filters={"attachment.vpc-id": [network.id]}):
        return
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, network.id)
    main = {"vpc-id": [network.id], "association.main": ["true"]}
    for table in backend.describe_route_tables(filters=main):
        backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)


def seed_parameters(region: str) -> None:
    """Put the public parameters of our images in a region, once."""
    stored = ssm_backends[ACCOUNT][region]._parameters  # put_parameter refuses names below /aws
    for name, value in images.parameters(region).items():
        if stored.get(name):
            return
        parameter = Parameter(  # type: ignore[abstract]  # moto makes them itself
            account_id=ACCOUNT,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=utcnow(),
            version=1,
            data_type="aws:ec2:image",
        )
        stored[name] = [parameter]


def models() -> Iterator[tuple[str, Any]]:
    """All instances of all accounts, each with its region."""
    for account in list(ec2_backends):
        for region in list(ec2_backends[account]):
            for reservation in list(ec2_backends[account][region].reservations.values()):
                for instance in reservation.instances:
                    yield region, instance


def model(instance_id: str) -> Any:
    """The model of an instance."""
    for _, instance in models():
        if instance.id == instance_id:
            return instance
    raise InvalidInstanceIdError(instance_id)


def _tags(instance: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in instance.get_tags()}


def records() -> list[Record]:
    """All instances of all regions."""
    return [
        Record(
            id=instance.id,
            region=region,
            state=instance.state,
            instance_type=instance.instance_type,
            behavior=instance.instance_initiated_shutdown_behavior or "stop",
            spot=instance.lifecycle == "spot",
            public=bool(instance.nics[0].public_ip_auto_assign),
            public_ip=instance.public_ip,
            zone=instance.availability_zone,
            tags=_tags(instance),
        )
        for region, instance in models()
    ]


def set_state(instance_id: str, state: str, *, code: str = "", message: str = "") -> None:
    """Set the state that the account shows; with `code` and `message`, also its reason."""
    instance = model(instance_id)
    instance._state.name, instance._state.code = state, STATE_CODES[state]
    if code:
        instance.state_reason = StateReason(f"{code}: {message}", code)
        instance._reason = ""  # AWS gives a transition reason only for what a user asked for


def end_instance(instance_id: str, *, terminate: bool, code: str, message: str) -> None:
    """Stop or terminate an instance not by a user's call: it shut down from inside, or AWS took it back."""
    instance = model(instance_id)
    if terminate:
        instance.terminate()
    else:
        instance.stop()
    set_state(instance_id, instance.state, code=code, message=message)


def offered_zones(instance_type: str, region: str) -> list[str]:
    """The region's zones that offer the type, by AWS's own list."""
    rows = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    return sorted(row["Location"] for row in rows if row["InstanceType"] == instance_type)


def architectures(instance_type: str) -> list[str]:
    """What the type's processors run; empty for an unknown type."""
    processor = INSTANCE_TYPES.get(instance_type, {}).get("ProcessorInfo", {})
    names: list[str] = processor.get("SupportedArchitectures", [])
    return names


def vcpus(instance_type: str) -> int:
    """How many vCPUs a type has; 0 for an unknown type."""
    return int(INSTANCE_TYPES.get(instance_type, {}).get("VCpuInfo", {}).get("DefaultVCpus", 0))


def has_image(region: str, image_id: str) -> bool:
    """Whether the region has that image, ours or one that the user made."""
    return image_id in ec2_backends[ACCOUNT][region].amis


def has_key_pair(region: str, name: str) -> bool:
    """Whether the region has that key pair."""
    return name in ec2_backends[ACCOUNT][region].key_pairs


def has_profile(name_or_arn: str) -> bool:
    """Whether the account has that instance profile."""
    profiles = iam_backends[ACCOUNT]["aws"].get_instance_profiles()
    return any(name_or_arn in (profile.name, profile.arn) for profile in profiles)


def place(instance_id: str, zone: str, size_gib: int, root_device: str, *, by_us: bool) -> None:
    """Set what AWS decides at a launch and moto does not: the root volume and, with `by_us`, the zone."""
    instance = model(instance_id)
    backend = instance.ec2_backend
    if by_us:
        instance._placement.zone = zone
        instance.nics[0].subnet = backend.get_default_subnets()[zone]
    named = [device for device, _ in instance.get_block_device_mapping]
    if named == ["/dev/sda1"] and root_device != "/dev/sda1":
        instance.block_device_mapping[root_device] = instance.block_device_mapping.pop("/dev/sda1")
    instance.root_device_name = root_device
    for device, attached in instance.get_block_device_mapping:
        volume = backend.volumes[attached.volume_id]
        if by_us:
            volume.zone = backend.get_zone_by_name(zone)
        if device == root_device:
            volume.size = max(int(volume.size or 0), size_gib)


def launch_details(instance_id: str) -> tuple[str | None, ...]:
    """Addresses, names and zone of an instance, set after moto's answer; always in the same order.

    The private address with its tag, since it could be the beginning of another.
    """
    instance = model(instance_id)
    zone = f"<availabilityZone>{instance.availability_zone}</availabilityZone>"
    private = f">{instance.private_ip}<"
    names = (instance.public_dns_name, instance.private_dns_name)
    return (*names, instance.public_ip, private, zone, instance.subnet_id)


def have_ended(instance_ids: Sequence[str]) -> bool:
    """Whether all of these are terminated, or on the way there."""
    states = {record.state for record in records() if record.id in instance_ids}
    return states <= {"shutting-down", "terminated"}


def set_behavior(instance_id: str, behavior: str) -> None:
    """What a shutdown from inside does: `stop` or `terminate`."""
    model(instance_id).instance_initiated_shutdown_behavior = behavior


def key_text(instance_id: str) -> str:
    """The public key of the instance's key pair, as a line; empty when it has none."""
    instance = model(instance_id)
    pair = instance.ec2_backend.key_pairs.get(instance.key_name)
    if pair is None:
        return ""
    return str(pair.material_public.decode()).strip() + "\n"


def user_data(instance_id: str) -> bytes:
    """The instance's user data, decoded."""
    value = model(instance_id).user_data
    return base64.b64decode(str(value)) if value else b""


def hostname(instance_id: str) -> str:
    """The short host name, as AWS makes it of the private address."""
    return f"ip-{str(model(instance_id).private_ip).replace('.', '-')}"


def login(instance_id: str, region: str) -> tuple[str, str]:
    """The image's login user and family."""
    image = images.find(model(instance_id).image_id, region)
    return (image.login, image.family) if image else ("ubuntu", "own-image")


def _profile(instance: Any) -> Any:
    attached = instance.iam_instance_profile
    if not attached:
        return None
    profiles = iam_backends[ACCOUNT]["aws"].get_instance_profiles()
    return next((profile for profile in profiles if profile.arn == attached["Arn"]), None)


def facts(instance_id: str, credentials: Credentials, interruption: Mapping[str, str] | None) -> Facts:
    """What the metadata service knows of an instance, as of now."""
    instance = model(instance_id)
    profile = _profile(instance)
    role = profile.roles[0] if profile is not None and profile.roles else None
    shows_tags = instance.metadata_options.instance_metadata_tags == "enabled"
    return Facts(
        instance_id=instance.id,
        instance_type=instance.instance_type,
        image_id=instance.image_id,
        region=instance.region_name,
        zone=instance.availability_zone,
        account=ACCOUNT,
        hostname=instance.private_dns_name,
        local_ipv4=instance.private_ip,
        public_ipv4=instance.public_ip,
        architecture=instance.architecture,
        lifecycle=instance.lifecycle or "on-demand",
        launched=instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        key_name=instance.key_name,
        public_key=key_text(instance_id),
        security_groups=tuple(group.name for group in instance.security_groups),
        tags=_tags(instance) if shows_tags else {},
        user_data=user_data(instance_id),
        profile={"InstanceProfileArn": profile.arn, "InstanceProfileId": profile.id} if profile else None,
        role=role.name if role else None,
        credentials=credentials.of(instance_id, role) if role else None,
        interruption=interruption,
    )
