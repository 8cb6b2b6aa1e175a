from __future__ import annotations

from datetime import datetime

from ec2tasks.local import images


def test_ids_are_well_formed_stable_and_differ_by_region() -> None:
    ids = {image.id_in(region) for image in images.IMAGES for region in ("eu-central-1", "us-east-1")}
    assert len(ids) == 2 * len(images.IMAGES)
    assert all(len(image_id) == 21 and image_id.startswith("ami-0") for image_id in ids)
    first = images.IMAGES[0]
    assert images.find(first.id_in("eu-west-1"), "eu-west-1") == first
    assert images.find(first.id_in("eu-west-1"), "eu-west-2") is None


def test_parameters_have_the_paths_of_aws() -> None:
    paths = images.parameters("eu-central-1")
    prefix = "/aws/service/deeplearning/ami/x86_64"
    for version in ("2.11", "2.12"):
        assert f"{prefix}/oss-nvidia-driver-gpu-pytorch-{version}-ubuntu-24.04/latest/ami-id" in paths
    assert f"{prefix}/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id" in paths
    assert f"{prefix}/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id" in paths
    assert any("/arm64/" in path for path in paths)


def test_the_strangers_image_looks_newer_and_has_no_parameter() -> None:
    (stranger,) = [image for image in images.IMAGES if not image.amazon]
    assert stranger.parameter is None
    assert stranger.created > max(image.created for image in images.IMAGES if image.amazon)
    assert stranger.name.startswith("Deep Learning OSS Nvidia Driver AMI GPU PyTorch")


def test_logins_follow_the_system() -> None:
    for image in images.IMAGES:
        assert image.login == ("ec2-user" if "Amazon Linux" in image.name else "ubuntu")
        assert datetime.fromisoformat(image.created.replace("Z", "+00:00"))


def test_a_line_names_no_release_and_is_a_folder_name() -> None:
    assert images.IMAGES[0].family == "deep-learning-oss-nvidia-driver-ami-gpu-pytorch-2.12-ubuntu-24.04"
