from __future__ import annotations

import pytest

from ec2tasks.aws.images import OLD_NAMES, is_free, kept_disks, login_user, newest, newest_parameter

BASE = "/aws/service/deeplearning/ami"


def pytorch(version: str, system: str = "24.04", arch: str = "x86_64") -> str:
    return f"{BASE}/{arch}/oss-nvidia-driver-gpu-pytorch-{version}-ubuntu-{system}/latest/ami-id"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([pytorch("2.9"), pytorch("2.12"), pytorch("2.11")], pytorch("2.12")),
        ([pytorch("2.12", "22.04"), pytorch("2.12", "24.04")], pytorch("2.12", "24.04")),
        ([pytorch("2.12", arch="arm64")], None),
        ([f"{BASE}/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"], None),
        ([pytorch("2.12").replace("/latest/ami-id", "/v1.2/ami-id")], None),
        ([], None),
    ],
)
def test_the_newest_framework_wins_by_number_not_by_letter(names: list[str], expected: str | None) -> None:
    assert newest_parameter(names, "pytorch", "x86_64") == expected


@pytest.mark.parametrize(
    ("description", "user"),
    [
        ("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.12 (Ubuntu 24.04) 20261101", "ubuntu"),
        ("Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) 20261101", "ec2-user"),
        ("al2023-ami-2023.9.20261101-kernel-6.1-x86_64", "ec2-user"),
        ("debian-12-amd64-20261101", "admin"),
        ("my own image", None),
    ],
)
def test_the_login_user_follows_from_the_image(description: str, user: str | None) -> None:
    assert login_user(description) == user


def test_the_newest_image_is_the_one_made_last() -> None:
    images = [{"ImageId": "a", "CreationDate": "2026-01-01"}, {"ImageId": "b", "CreationDate": "2026-11-01"}]
    image = newest(images)  # type: ignore[arg-type]
    assert image is not None
    assert image["ImageId"] == "b"


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("Deep Learning AMI (Ubuntu)*", True),
        ("Deep Learning AMI (Ubuntu 18.04) Version 60.4", True),
        ("Deep Learning OSS Nvidia Driver AMI GPU PyTorch*", False),
    ],
)
def test_names_of_the_past_are_known(name: str, old: bool) -> None:
    assert bool(OLD_NAMES.fullmatch(name)) is old


@pytest.mark.parametrize(
    ("image", "free"),
    [
        ({}, True),
        ({"UsageOperation": "RunInstances", "ProductCodes": []}, True),
        ({"UsageOperation": "RunInstances:0g00"}, False),  # Ubuntu Pro
        ({"UsageOperation": "RunInstances:0010"}, False),  # Red Hat
        ({"ProductCodes": [{"ProductCodeId": "x", "ProductCodeType": "marketplace"}]}, False),
    ],
)
def test_an_image_that_is_billed_is_told_by_its_billing_code(image: dict[str, object], free: bool) -> None:
    assert is_free(image) is free  # type: ignore[arg-type]


def test_the_disks_that_would_outlive_the_instance() -> None:
    image = {
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False, "SnapshotId": "snap-0"}},
            {"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 9, "Encrypted": True}},
            {"DeviceName": "/dev/sdc", "Ebs": {"DeleteOnTermination": True, "SnapshotId": "snap-2"}},
            {"DeviceName": "/dev/sdd", "VirtualName": "ephemeral0"},
        ],
    }
    assert kept_disks(image) == {  # type: ignore[arg-type]
        "/dev/sda1": {},
        "/dev/sdb": {"SnapshotId": "snap-1", "VolumeSize": 9},
    }
