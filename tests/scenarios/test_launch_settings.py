"""Every choice of the user, by option, environment and ec2.yaml, down to the RunInstances request."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.waiting import PATIENCE

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import launch_tags
from ec2tasks.aws.launch import plan_launch
from ec2tasks.aws.launch_request import run_instances_request
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import Tools
from ec2tasks.base.project import Project
from ec2tasks.config.schema import KEYS_BY_NAME
from ec2tasks.config.settings import Settings, read_settings
from ec2tasks.local.userdata import runnable_parts


@pytest.fixture(scope="module")
def account(aws: Aws) -> Aws:
    """An account that holds one of each thing that can be chosen."""
    aws.iam.create_instance_profile(InstanceProfileName="Reader")
    vpc = usable_subnets(aws)[0].vpc
    aws.ec2.create_security_group(GroupName="team", Description="x", VpcId=vpc)
    return aws


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all, so that one key opens every key pair."""
    return tmp_path_factory.mktemp("chooser")


def request(aws: Aws, settings: Settings, home: Path) -> dict[str, Any]:
    tags = launch_tags(settings, "p")
    plan = plan_launch(aws, settings, tags, home=home, tools=Tools())
    return run_instances_request(plan, plan.candidates[0], "token")


def test_what_needs_no_other_answer_is_asked_at_the_same_time(account: Aws, home: Path) -> None:
    """DescribeSubnets is not sent before the others have been asked for: in turn, they never would be."""
    aws = Aws(endpoint=account.endpoint, region=account.region)
    others = (
        "DescribeKeyPairs",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "GetInstanceProfile",
    )
    begun = {name: threading.Event() for name in others}

    def note(model: Any, **_: object) -> None:
        if model.name in begun:
            begun[model.name].set()
        elif model.name == "DescribeSubnets":
            assert all(event.wait(PATIENCE) for event in begun.values())

    for client in (aws.ec2, aws.iam):
        client.meta.events.register("before-call", note)
    asked = read_settings(
        Project(root=home, below=Path()), options={"key_name": "team-key"}, environ={"HOME": str(home)}
    )
    assert request(aws, asked, home)["KeyName"] == "team-key"
    assert all(event.is_set() for event in begun.values())


def tag(parameters: dict[str, Any], name: str) -> str:
    (value,) = [tag["Value"] for tag in parameters["TagSpecifications"][0]["Tags"] if tag["Key"] == name]
    return str(value)


# What is chosen, and what the request then says.
CHOICES: dict[str, tuple[object, object]] = {
    "instance_type": ("g6.xlarge", "g6.xlarge"),
    "image": ("base", "Deep Learning Base"),
    "user": ("root", "root"),
    "key_name": ("team-key", "team-key"),
    "iam_instance_profile": ("Reader", "Reader"),
    "security_group": ("team", "team"),
    "name": ("my-box", "my-box"),
    "user_data": ("#!/bin/sh", "#!/bin/sh"),
    "disk_gb": ("120", 120),
    "spot": (True, "spot"),
    "tags": (["team=nlp"], "nlp"),
}


def shown(aws: Aws, parameters: dict[str, Any], key: str) -> object:
    """What the request says of a choice, names looked up where it holds ids."""
    if key == "image":
        name = aws.ec2.describe_images(ImageIds=[parameters["ImageId"]])["Images"][0]["Name"]
        return " ".join(name.split()[:3])
    if key == "security_group":
        groups = aws.ec2.describe_security_groups(GroupIds=parameters["SecurityGroupIds"])["SecurityGroups"]
        return groups[0]["GroupName"]
    if key == "user_data":
        # The guard comes first.
        return runnable_parts(parameters["UserData"].encode())[1][1].decode()
    tags = {"user": "ec2tasks:user", "name": "Name", "tags": "team"}
    if key in tags:
        return tag(parameters, tags[key])
    place = {
        "instance_type": "InstanceType",
        "key_name": "KeyName",
        "iam_instance_profile": "IamInstanceProfile.Name",
        "disk_gb": "BlockDeviceMappings.0.Ebs.VolumeSize",
        "spot": "InstanceMarketOptions.MarketType",
    }[key]
    value: Any = parameters
    for step in place.split("."):
        value = value[int(step) if step.isdigit() else step]
    return value


def settings(root: Path, options: dict[str, object], environ: dict[str, str]) -> Settings:
    base = {"HOME": str(root), "USER": "chooser"}
    return read_settings(Project(root=root, below=Path()), options=options, environ={**base, **environ})


@pytest.mark.parametrize("key", CHOICES)
@pytest.mark.parametrize("way", ["option", "environment", "ec2.yaml"])
def test_a_choice_reaches_the_request(key: str, way: str, account: Aws, tmp_path: Path, home: Path) -> None:
    value, expected = CHOICES[key]
    options: dict[str, object] = {key: value} if way == "option" else {}
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    environ = {KEYS_BY_NAME[key].variables[-1]: text} if way == "environment" else {}
    if way == "ec2.yaml":
        (tmp_path / "ec2.yaml").write_text(yaml.safe_dump({key: value}))
    parameters = request(account, settings(tmp_path, options, environ), home)
    assert shown(account, parameters, key) == expected


def test_the_usual_tags_are_always_there(account: Aws, tmp_path: Path, home: Path) -> None:
    parameters = request(
        account, settings(tmp_path, {"tags": ["Name=x", "team=nlp"]}, {"TRIGRAM": "PPR"}), tmp_path
    )
    assert tag(parameters, "Trigram") == "PPR"
    assert tag(parameters, "Name").startswith("PPR-")
    assert tag(parameters, "User")
    assert tag(parameters, "Hostname")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"iam_instance_profile": "Nobody"}, "no instance profile `Nobody`"),
        ({"security_group": "sg-0123"}, "no security group `sg-0123`"),
        ({"image": "ami-00000000"}, "no image `ami-00000000`"),
        ({"instance_type": ("g5g.xlarge", "g5.xlarge")}, "several architectures"),
        ({"instance_type": "z9.large"}, "`z9.large` is not offered in eu-central-1"),
    ],
)
def test_what_is_not_there_is_named_before_anything_is_launched(
    options: dict[str, object], says: str, account: Aws, tmp_path: Path, home: Path
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        request(account, settings(tmp_path, options, {}), home)
    assert caught.value.hint


def test_an_image_of_another_architecture_is_refused(account: Aws, tmp_path: Path, home: Path) -> None:
    filters = [{"Name": "architecture", "Values": ["arm64"]}]
    images = account.ec2.describe_images(Owners=["amazon"], Filters=filters)["Images"]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is for arm64, the type is x86_64"):
        request(account, settings(tmp_path, {"image": images[0]["ImageId"]}, {}), home)


def test_a_stranger_s_image_of_a_known_name_is_not_taken(account: Aws, tmp_path: Path, home: Path) -> None:
    """The "whoAMI" attack: anyone may publish an image of any name."""
    everyone = account.ec2.describe_images(Filters=[{"Name": "name", "Values": ["Deep Learning*"]}])["Images"]
    amazon = account.ec2.describe_images(Owners=["amazon"])["Images"]
    strangers = {image["ImageId"] for image in everyone} - {image["ImageId"] for image in amazon}
    assert strangers
    for wanted in ("pytorch", "base", "Deep Learning*"):
        parameters = request(account, settings(tmp_path, {"image": wanted}, {}), home)
        assert parameters["ImageId"] not in strangers


def test_a_region_that_is_none_is_named(aws: Aws) -> None:
    with pytest.raises(UsageError, match="no region `eu-centrale-1`") as caught:
        Aws(endpoint=aws.endpoint, region="eu-centrale-1").check_region()
    assert "eu-central-1" in str(caught.value.hint)


def test_a_subnet_s_way_with_addresses_is_known(account: Aws, tmp_path: Path, home: Path) -> None:
    usual = usable_subnets(account)[0]
    made = account.ec2.create_subnet(
        VpcId=usual.vpc, CidrBlock="172.31.200.0/24", AvailabilityZone=usual.zone
    )["Subnet"]["SubnetId"]
    parameters = request(account, settings(tmp_path, {"subnet": made}, {}), home)
    assert parameters["NetworkInterfaces"][0]["SubnetId"] == made
    assert usual.public
