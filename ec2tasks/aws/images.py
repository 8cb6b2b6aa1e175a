"""The image (AMI) to launch, for the architecture of the instance types, and the user who logs in on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, warn_if_denied
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ImageTypeDef

# https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html
PARAMETERS = "/aws/service/deeplearning/ami"
FAMILIES = {
    "pytorch": r"oss-nvidia-driver-gpu-pytorch-(?P<version>[\d.]+)-ubuntu-(?P<os>[\d.]+)",
    "base": r"base-oss-nvidia-driver-gpu-ubuntu-(?P<os>[\d.]+)",
}
NAME_PATTERNS = {
    "pytorch": "Deep Learning OSS Nvidia Driver AMI GPU PyTorch*(Ubuntu *",
    "base": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu *",
}
# Names of images that Amazon no longer publishes, as ssh-ec2's users wrote them.
OLD_NAMES = re.compile(r"Deep Learning AMI \((Ubuntu|Amazon Linux)[^)]*\).*")
FREE = "RunInstances"  # the billing code of Linux with nothing on top
DISK_PARTS = ("SnapshotId", "VolumeSize", "VolumeType", "Iops", "Throughput")
LOGIN_USERS = (
    (r"ubuntu", "ubuntu"),
    (r"amazon linux|amzn|al2023", "ec2-user"),
    (r"debian", "admin"),
    (r"rocky", "rocky"),
    (r"suse|rhel|red hat|fedora", "ec2-user"),
)


@dataclass(frozen=True, kw_only=True)
class Image:
    """An AMI that can be launched; `user` logs in on it, `root_device` is the name of its first disk.

    `kept_disks`: those that would outlive the instance, by their name, with what must be asked for with them.
    `disk_sizes`: the GiB of each disk, by its name; `created` when it was made, in ISO 8601.
    """

    id: str
    name: str
    user: str
    root_device: str
    kept_disks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    disk_sizes: Mapping[str, int] = field(default_factory=dict)
    created: str = ""

    def total_gb(self, root_gb: int | None) -> int:
        """The GiB of all disks together, where the first is asked for with so many."""
        return sum({**self.disk_sizes, **({self.root_device: root_gb} if root_gb else {})}.values())


def newest_parameter(names: Iterable[str], family: str, arch: str) -> str | None:
    """The public SSM parameter of an image family's newest image: highest framework version, then system.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    form = re.compile(rf"{PARAMETERS}/{arch}/{FAMILIES[family]}/latest/ami-id")
    matches = [match for name in names if (match := form.fullmatch(name))]
    if not matches:
        return None
    return max(
        matches, key=lambda match: (_numbers(match.groupdict().get("version")), _numbers(match["os"]))
    )[0]


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "0").split(".") if part)


def login_user(description: str) -> str | None:
    """The login user of an image, by its name and description; None where they don't tell.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/managing-users.html
    """
    return next((user for form, user in LOGIN_USERS if re.search(form, description, re.IGNORECASE)), None)


def newest(images: Sequence[ImageTypeDef]) -> ImageTypeDef | None:
    """The image with the latest creation date."""
    return max(images, key=lambda image: image.get("CreationDate", ""), default=None)


def shared_architecture(by_type: Mapping[str, str]) -> str:
    """The processor architecture that all these instance types share. Raises UsageError otherwise."""
    if len(set(by_type.values())) != 1:
        words = ", ".join(f"`{name}` is {arch}" for name, arch in by_type.items())
        raise UsageError(f"one image can't serve types of several architectures: {words}", hint="choose one")
    return str(next(iter(by_type.values())))


def choose_image(aws: Aws, setting: str, *, arch: str, user: str | None) -> Image:
    """The image that the setting `image` means. Raises UsageError where there is none."""
    if OLD_NAMES.fullmatch(setting):
        output.warning(
            f"image `{setting}` is no longer published by Amazon; using `pytorch`",
            hint="image: pytorch   (in ec2.yaml, or AWS_IMAGE_NAME=pytorch)",
        )
        setting = "pytorch"
    image = _by_id(aws, setting) if setting.startswith("ami-") else _by_name(aws, setting, arch)
    if image is None:
        raise UsageError(
            f"no image `{setting}` for {arch} in {aws.region} is owned by Amazon",
            hint="image: pytorch, base, an ami-… id, or a name of `aws ec2 describe-images --owners amazon`",
        )
    return _checked(image, arch, user)


def _by_id(aws: Aws, image_id: str) -> ImageTypeDef | None:
    try:
        images = aws.ec2.describe_images(ImageIds=[image_id])["Images"]
    except Exception as error:
        if not error_code(error).startswith("InvalidAMIID"):
            raise
        return None
    return images[0] if images else None


def _by_name(aws: Aws, name: str, arch: str) -> ImageTypeDef | None:
    if name in FAMILIES:
        image_id = _public_parameter(aws, name, arch)
        if image_id:
            return _by_id(aws, image_id)
    pattern = NAME_PATTERNS.get(name, name)
    # Without an owner, any stranger's image of that name would do ("whoAMI"):
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-allowed-images.html
    answer = aws.ec2.describe_images(
        Owners=["amazon"],
        Filters=[
            {"Name": "name", "Values": [pattern]},
            {"Name": "architecture", "Values": [arch]},
            {"Name": "state", "Values": ["available"]},
        ],
    )
    return newest([image for image in answer["Images"] if is_free(image)])


def is_free(image: ImageTypeDef) -> bool:
    """Whether nothing is billed for the image beside the instance: Ubuntu Pro, RHEL and others have a price.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html
    """
    return image.get("UsageOperation", FREE) == FREE and not image.get("ProductCodes")


def kept_disks(image: ImageTypeDef) -> dict[str, dict[str, Any]]:
    """The disks of an image that would stay when its instance is terminated, as a launch names them again.

    Of the root disk EC2 takes no snapshot, it knows it: of any other all that the image says of it is said.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html
    """
    disks = {disk.get("DeviceName", ""): disk.get("Ebs", {}) for disk in image.get("BlockDeviceMappings", [])}
    return {
        name: {}
        if name == image.get("RootDeviceName")
        else {part: disk[part] for part in DISK_PARTS if part in disk}  # type: ignore[literal-required]
        for name, disk in disks.items()
        if disk and not disk.get("DeleteOnTermination")
    }


def _public_parameter(aws: Aws, family: str, arch: str) -> str | None:
    pages = aws.ssm.get_paginator("get_parameters_by_path").paginate(
        Path=f"{PARAMETERS}/{arch}/", Recursive=True
    )
    try:
        values: Mapping[str, str] = {
            parameter["Name"]: parameter["Value"] for page in pages for parameter in page["Parameters"]
        }
    except Exception as error:
        instead = "the image is looked for by its name instead"
        if error_code(error) != "ParameterNotFound" and not warn_if_denied(error, instead):
            raise
        return None
    name = newest_parameter(values, family, arch)
    return values[name] if name else None


def _checked(image: ImageTypeDef, arch: str, user: str | None) -> Image:
    name = image.get("Name", "")
    if image.get("Architecture", arch) != arch:
        raise UsageError(
            f"image `{image['ImageId']}` ({name}) is for {image['Architecture']}, the type is {arch}",
            hint="choose an image or a --type of the other's architecture",
        )
    user = user or login_user(f"{name} {image.get('Description', '')}")
    if user is None:
        raise UsageError(
            f"nothing tells who logs in on image `{image['ImageId']}` ({name})",
            hint="user: NAME   (in ec2.yaml, or AWS_INSTANCE_USER=NAME)",
        )
    return Image(
        id=image["ImageId"],
        name=name,
        user=user,
        root_device=image.get("RootDeviceName", "/dev/sda1"),
        kept_disks=kept_disks(image),
        created=image.get("CreationDate", ""),
        disk_sizes={
            disk.get("DeviceName", ""): disk.get("Ebs", {}).get("VolumeSize", 0)
            for disk in image.get("BlockDeviceMappings", [])
        },
    )
