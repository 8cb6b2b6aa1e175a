"""The machine images the local EC2 offers: real names and parameter paths of AWS's Deep Learning AMIs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

AMAZON = "898082745236"  # the account that owns the Deep Learning AMIs
STRANGER = "666666666666"
ROOT_DEVICE = "/dev/sda1"
ROOT_GIB = 65
PARAMETERS = "/aws/service/deeplearning/ami"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image, the same in every region but for its id."""

    name: str
    created: str
    login: str = "ubuntu"
    architecture: str = "x86_64"
    owner: str = AMAZON
    parameter: str | None = None
    size_gib: int = ROOT_GIB
    root_device: str = ROOT_DEVICE

    @property
    def amazon(self) -> bool:
        """Whether Amazon owns it; only then its owner has the alias."""
        return self.owner == AMAZON

    @property
    def family(self) -> str:
        """The name without its date, as a folder name: the same from one release to the next."""
        kept = "".join(c if c.isalnum() or c == "." else "-" for c in self.name.rsplit(" ", 1)[0].lower())
        return "-".join(part for part in kept.split("-") if part)

    def id_in(self, region: str) -> str:
        """The image's id in that region: always the same one."""
        return "ami-0" + hashlib.sha256(f"{region}/{self.name}/{self.owner}".encode()).hexdigest()[:16]


def _pytorch(version: str, stamp: str, *, arm: bool = False, amazon_linux: bool = False) -> Image:
    system = "Amazon Linux 2023" if amazon_linux else "Ubuntu 24.04"
    slug = system.lower().replace(" ", "-")
    architecture = "arm64" if arm else "x86_64"
    kind = "ARM64 AMI OSS Nvidia Driver GPU" if arm else "OSS Nvidia Driver AMI GPU"
    return Image(
        name=f"Deep Learning {kind} PyTorch {version} ({system}) {stamp}",
        created=f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}T08:00:00.000Z",
        login="ec2-user" if amazon_linux else "ubuntu",
        architecture=architecture,
        parameter=f"{PARAMETERS}/{architecture}/oss-nvidia-driver-gpu-pytorch-{version}-{slug}/latest/ami-id",
        root_device="/dev/xvda" if amazon_linux else ROOT_DEVICE,
    )


def _base(system: str, stamp: str, *, arm: bool = False) -> Image:
    slug = system.lower().replace(" ", "-")
    architecture = "arm64" if arm else "x86_64"
    kind = "ARM64 Base" if arm else "Base"
    return Image(
        name=f"Deep Learning {kind} OSS Nvidia Driver GPU AMI ({system}) {stamp}",
        created=f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}T08:00:00.000Z",
        login="ec2-user" if system.startswith("Amazon") else "ubuntu",
        architecture=architecture,
        parameter=f"{PARAMETERS}/{architecture}/base-oss-nvidia-driver-gpu-{slug}/latest/ami-id",
        root_device="/dev/xvda" if system.startswith("Amazon") else ROOT_DEVICE,
    )


IMAGES: tuple[Image, ...] = (
    _pytorch("2.12", "20261101"),
    _pytorch("2.11", "20260715"),
    _pytorch("2.12", "20261101", amazon_linux=True),
    _pytorch("2.12", "20261101", arm=True),
    _base("Ubuntu 24.04", "20261101"),
    _base("Amazon Linux 2023", "20261101"),
    _base("Ubuntu 24.04", "20261101", arm=True),
    # What the "whoAMI" attack looks like: a stranger's image, with a name like Amazon's and a newer date.
    Image(
        name="Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.12 (Ubuntu 24.04) 20261120",
        created="2026-11-20T08:00:00.000Z",
        owner=STRANGER,
    ),
)


def find(image_id: str, region: str) -> Image | None:
    """The image with that id in that region."""
    return next((image for image in IMAGES if image.id_in(region) == image_id), None)


def parameters(region: str) -> dict[str, str]:
    """SSM's public parameters of that region: path to image id."""
    return {image.parameter: image.id_in(region) for image in IMAGES if image.parameter}
