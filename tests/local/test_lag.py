"""The fault `lag`: what was made is not there yet. An hour of it here, so that no test waits or races."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from support.local_ec2 import LocalEc2

from ec2tasks.local import control

HOUR = 3600


@pytest.fixture
def name() -> str:
    return f"lag-{secrets.token_hex(4)}"


def lag(*kinds: str) -> None:
    control.set_faults({"lag": dict.fromkeys(kinds, HOUR)})


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        action()
    return str(caught.value.response["Error"]["Code"])


def test_a_security_group(local_ec2: LocalEc2, name: str) -> None:
    ec2 = local_ec2.ec2
    lag("security-group")
    group = ec2.create_security_group(GroupName=name, Description="x")["GroupId"]
    assert refused(lambda: ec2.describe_security_groups(GroupIds=[group])) == "InvalidGroup.NotFound"
    assert refused(lambda: local_ec2.run(SecurityGroupIds=[group])) == "InvalidGroup.NotFound"
    named = [{"Name": "group-name", "Values": [name]}]
    assert ec2.describe_security_groups(Filters=named)["SecurityGroups"] == []  # type: ignore[arg-type]
    # But it cannot be made twice.
    assert refused(lambda: ec2.create_security_group(GroupName=name, Description="x")) == (
        "InvalidGroup.Duplicate"
    )
    control.set_faults(None)
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]


def test_a_key_pair(local_ec2: LocalEc2, name: str) -> None:
    ec2 = local_ec2.ec2
    lag("key-pair")
    ec2.create_key_pair(KeyName=name)
    assert refused(lambda: ec2.describe_key_pairs(KeyNames=[name])) == "InvalidKeyPair.NotFound"
    assert refused(lambda: local_ec2.run(KeyName=name)) == "InvalidKeyPair.NotFound"
    control.set_faults(None)
    assert ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"]


def test_an_instance_profile_is_known_to_iam_before_ec2_knows_it(local_ec2: LocalEc2, name: str) -> None:
    iam = local_ec2.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    lag("instance-profile")
    iam.create_instance_profile(InstanceProfileName=name)
    assert iam.get_instance_profile(InstanceProfileName=name)
    added = {"InstanceProfileName": name, "RoleName": name}
    assert refused(lambda: iam.add_role_to_instance_profile(**added)) == "NoSuchEntity"
    assert refused(lambda: local_ec2.run(IamInstanceProfile={"Name": name})) == "InvalidParameterValue"
    control.set_faults(None)
    iam.add_role_to_instance_profile(**added)


def test_an_instance(local_ec2: LocalEc2) -> None:
    ec2 = local_ec2.ec2
    lag("instance")
    instance = local_ec2.run()
    one = [instance]
    assert refused(lambda: ec2.describe_instances(InstanceIds=one)) == "InvalidInstanceID.NotFound"
    assert refused(lambda: ec2.terminate_instances(InstanceIds=one)) == "InvalidInstanceID.NotFound"
    assert refused(lambda: ec2.get_console_output(InstanceId=instance)) == "InvalidInstanceID.NotFound"
    listed = [found for page in ec2.describe_instances()["Reservations"] for found in page["Instances"]]
    assert instance not in {found["InstanceId"] for found in listed}
    control.set_faults(None)
    # It has booted all the while.
    local_ec2.wait_for(instance, "running")


def test_the_tags(local_ec2: LocalEc2, name: str) -> None:
    ec2 = local_ec2.ec2
    lag("tags")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
    instance = local_ec2.run(TagSpecifications=tags)
    by_tag = [{"Name": "tag:Name", "Values": [name]}]
    assert "Tags" not in local_ec2.describe(instance)
    assert ec2.describe_instances(Filters=by_tag)["Reservations"] == []  # type: ignore[arg-type]
    control.set_faults(None)
    assert ec2.describe_instances(Filters=by_tag)["Reservations"]  # type: ignore[arg-type]
    # Tags that come later lag alone.
    lag("tags")
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "late", "Value": "1"}])
    assert [tag["Key"] for tag in local_ec2.describe(instance)["Tags"]] == ["Name"]


def test_what_was_there_before_is_not_hidden(local_ec2: LocalEc2, shared_instance: str) -> None:
    control.set_faults({"lag": HOUR})
    assert local_ec2.state(shared_instance) == "running"
