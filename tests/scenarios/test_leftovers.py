"""What costs without an instance: said by `ls` and `reap`, ended where it is ours and asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.local_ec2 import api
from support.project import ScratchProject

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import OWNER_TAG
from ec2tasks.aws.leftovers import kept_addresses, left_volumes


@pytest.fixture
def account(local_project: ScratchProject) -> Aws:
    """The account of the project's local EC2, which runs."""
    assert local_project.ec2tasks("local.up").code == 0
    return api(Path(local_project.environ["EC2_LOCAL_DIR"]))


def disk(aws: Aws, owner: str) -> str:
    tags = [{"Key": OWNER_TAG, "Value": owner}, {"Key": "Name", "Value": "kim-shop"}]
    given: Any = [{"ResourceType": "volume", "Tags": tags}]
    volume = aws.ec2.create_volume(Size=100, AvailabilityZone="eu-central-1a", TagSpecifications=given)
    return volume["VolumeId"]


def exists(aws: Aws, volume: str) -> bool:
    return volume in {one["VolumeId"] for one in aws.ec2.describe_volumes()["Volumes"]}


def test_a_disk_left_behind_is_said_and_ended_where_that_is_asked_for(
    local_project: ScratchProject, account: Aws
) -> None:
    ours = disk(account, local_project.environ["USER"])
    others = disk(account, "somebody-else")
    for words in (("ls",), ("reap", "--yes"), ("reap", "--force", "--dry")):
        said = local_project.ec2tasks(*words)
        assert said.code == 0
        assert f"disk {ours} (100 GiB of kim-shop that is gone) in eu-central-1 costs" in said.err
        assert "$9.00 a month" in said.err
        assert "`ec2tasks reap --force` ends it" in said.err
        assert others not in said.err
        assert exists(account, ours)
    for words in (("ls", "--json"), ("reap", "--json", "--dry")):
        (told,) = json.loads(local_project.ec2tasks(*words).out)
        assert (told["kind"], told["id"], told["price_per_month"]) == ("disk", ours, 9.0)
    # Without a terminal, nothing is ended that is not said yes to.
    local_project.ec2tasks("reap", "--force")
    assert exists(account, ours)
    ended = local_project.ec2tasks("reap", "--force", "--yes")
    assert f"disk {ours} in eu-central-1: deleted" in ended.err
    assert not exists(account, ours)
    assert exists(account, others)
    account.ec2.delete_volume(VolumeId=others)


def test_an_address_that_is_kept_is_said_with_what_releases_it(
    local_project: ScratchProject, account: Aws
) -> None:
    owner = local_project.environ["USER"]
    given = account.ec2.allocate_address(Domain="vpc")
    account.ec2.create_tags(Resources=[given["AllocationId"]], Tags=[{"Key": OWNER_TAG, "Value": owner}])
    account.ec2.allocate_address(Domain="vpc")  # somebody's
    said = local_project.ec2tasks("reap", "--force", "--yes").err
    assert f"address {given['PublicIp']} (on no instance) in eu-central-1 costs" in said
    assert "$3.65 a month" in said
    assert f"aws ec2 release-address --region eu-central-1 --allocation-id {given['AllocationId']}" in said
    assert said.count("warning: address ") == 1
    (still,) = kept_addresses(account, owner, [])
    assert still.id == given["PublicIp"]
    account.ec2.release_address(AllocationId=given["AllocationId"])


def test_a_disk_on_an_instance_is_not_left_behind(local_project: ScratchProject, account: Aws) -> None:
    assert local_project.ec2tasks("up").code == 0
    assert left_volumes(account, local_project.environ["USER"]) == []
    assert local_project.ec2tasks("down", "--no-rsync").code == 0
    assert left_volumes(account, local_project.environ["USER"]) == []
