"""What AWS refuses and moto lets pass: launches that can't be, and changes of state that can't be. Pure.

The codes and texts are those of AWS
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ec2tasks.local.answers import Call, Refusal
from ec2tasks.local.faults import Faults
from ec2tasks.local.images import Image

STOPPABLE = ("pending", "running", "stopping", "stopped")
STARTABLE = ("stopped", "pending", "running")
REBOOTABLE = ("pending", "running")


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the account and AWS's own lists say of what a launch names."""

    image: Image | None
    has_image: bool
    has_key_pair: bool
    architectures: Sequence[str]
    offered_zones: Sequence[str]
    subnet_zone: str | None = None
    unknown_profile: str | None = None


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a launch goes; `by_us`: the call left it open."""

    zone: str
    by_us: bool


def wanted_zone(call: Call, account: Account) -> str | None:
    """The zone that the call names, itself or by its subnet."""
    return call.parameters.get("Placement.AvailabilityZone") or account.subnet_zone


def wanted_size(call: Call, root_device: str) -> int | None:
    """The size in GiB that the call wants for the root volume; None when it doesn't say."""
    for number in range(1, 27):
        prefix = f"BlockDeviceMapping.{number}"
        if call.parameters.get(f"{prefix}.DeviceName") == root_device:
            size = call.parameters.get(f"{prefix}.Ebs.VolumeSize", "")
            return int(size) if size.isdigit() else None
    return None


def _names_refusal(call: Call, account: Account) -> Refusal | None:
    image_id, key = call.parameters.get("ImageId", ""), call.parameters.get("KeyName")
    instance_type = call.parameters.get("InstanceType", "")
    if not account.has_image:
        return Refusal(code="InvalidAMIID.NotFound", message=f"The image id '[{image_id}]' does not exist")
    if key is not None and not account.has_key_pair:
        return Refusal(code="InvalidKeyPair.NotFound", message=f"The key pair '{key}' does not exist")
    if account.unknown_profile is not None:
        return Refusal(
            code="InvalidParameterValue",
            message=(
                f"Value ({account.unknown_profile}) for parameter iamInstanceProfile is invalid. "
                "Invalid IAM Instance Profile"
            ),
        )
    if not account.architectures:
        return Refusal(
            code="InvalidParameterValue",
            message=f"Invalid value '{instance_type}' for InstanceType.",
        )
    return None


def _fit_refusal(call: Call, account: Account) -> Refusal | None:
    image = account.image
    if image is None:
        return None
    if image.architecture not in account.architectures:
        return Refusal(
            code="InvalidParameterValue",
            message=(
                f"The architecture '{','.join(account.architectures)}' of the specified instance type does "
                f"not match the architecture '{image.architecture}' of the specified AMI. Specify an "
                "instance type and an AMI that have matching architectures, and try again."
            ),
        )
    size = wanted_size(call, image.root_device)
    if size is not None and size < image.size_gib:
        return Refusal(
            code="InvalidBlockDeviceMapping",
            message=(
                f"Volume of size {size}GB is smaller than snapshot 'snap-{image.id_in(call.region)[4:]}', "
                f"expect size >= {image.size_gib}GB"
            ),
        )
    return None


def launch_refusal(call: Call, account: Account) -> Refusal | None:
    """Why AWS would refuse this launch whatever its capacity; None if it wouldn't."""
    return _names_refusal(call, account) or _fit_refusal(call, account)


def choose_zone(call: Call, account: Account, faults: Faults) -> Placement | Refusal:
    """The zone of a launch: the one asked for, else the first with capacity."""
    instance_type, zone = call.parameters.get("InstanceType", ""), wanted_zone(call, account)
    offered = account.offered_zones
    free = [place for place in offered if not faults.lacks_capacity(instance_type, place)]
    if not offered:
        message = (
            "The requested configuration is currently not supported. "
            "Please check the documentation for supported configurations."
        )
        return Refusal(code="Unsupported", message=message)
    if zone is not None and zone not in offered:
        return Refusal(
            code="Unsupported",
            message=(
                f"Your requested instance type ({instance_type}) is not supported in your requested "
                f"Availability Zone ({zone}). Please retry your request by not specifying an Availability "
                f"Zone or choosing {', '.join(offered)}."
            ),
        )
    if zone in free or (zone is None and free):
        return Placement(zone=zone or free[0], by_us=zone is None)
    return _no_capacity(instance_type, zone or offered[0], free)


def _no_capacity(instance_type: str, zone: str, free: Sequence[str]) -> Refusal:
    advice = f" or choosing {', '.join(free)}" if free else ""
    return Refusal(
        code="InsufficientInstanceCapacity",
        message=(
            f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you "
            f"requested ({zone}). Our system will be working on provisioning additional capacity. You can "
            f"currently get {instance_type} capacity by not specifying an Availability Zone in your "
            f"request{advice}."
        ),
        status=500,
    )


def state_refusal(
    action: str, instance_ids: Sequence[str], states: Mapping[str, str], one_time_spot: Callable[[str], bool]
) -> Refusal | None:
    """Why instances in these states can't be started, stopped or rebooted; None if they can."""
    allowed = {"StartInstances": STARTABLE, "StopInstances": STOPPABLE, "RebootInstances": REBOOTABLE}.get(
        action
    )
    verb = {"StartInstances": "started", "StopInstances": "stopped"}.get(action, "rebooted")
    for instance_id in instance_ids if allowed else ():
        state = states.get(instance_id)
        if state is not None and state not in (allowed or ()):
            message = f"The instance '{instance_id}' is not in a state from which it can be {verb}."
            return Refusal(code="IncorrectInstanceState", message=message)
        if action == "StopInstances" and state is not None and one_time_spot(instance_id):
            message = (
                f"You can't stop the Spot Instance '{instance_id}' because it is associated with a one-time "
                "Spot Instance request. You can only stop Spot Instances associated with persistent Spot "
                "Instance requests."
            )
            return Refusal(code="UnsupportedOperation", message=message)
    return None
