"""The AWS API as real clients use it: what moto lacks, the faults, and the service inside."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from support.local_ec2 import KEY_NAME, PYTORCH, REGION, LocalEc2
from support.waiting import until

from ec2tasks.local import control, images

IMDS = """
import json, sys, urllib.request as u
base = "http://169.254.169.254/latest/"
ask = u.Request(base + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
token = u.urlopen(ask).read().decode()
def get(path):
    try:
        return u.urlopen(u.Request(base + path, headers={"X-aws-ec2-metadata-token": token})).read().decode()
    except u.HTTPError as error:
        return str(error.code)
print(json.dumps({path: get(path) for path in sys.argv[1:]}))
"""


def imds(local_ec2: LocalEc2, instance_id: str, *paths: str) -> dict[str, str]:
    argv = local_ec2.ssh_argv(instance_id, "python3", "-", *paths)
    said = subprocess.run(argv, input=IMDS, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(said.stdout)
    return found


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310  # our own server
        return str(answer.read().decode())


# Images and parameters.


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1", "ap-southeast-2"])
def test_images_and_parameters_are_in_every_region(local_ec2: LocalEc2, region: str) -> None:
    ec2, image = local_ec2.client("ec2", region), local_ec2.image(region)
    (found,) = ec2.describe_images(ImageIds=[image], Owners=["amazon"])["Images"]
    assert found["Name"].startswith("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.12 (Ubuntu 24.04)")
    assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == images.ROOT_GIB


def test_only_amazons_images_are_amazons(local_ec2: LocalEc2) -> None:
    named = {"Name": "name", "Values": ["Deep Learning OSS Nvidia Driver AMI GPU PyTorch*(Ubuntu 24.04)*"]}
    everyones = local_ec2.ec2.describe_images(Filters=[named])["Images"]  # type: ignore[list-item]
    amazons = local_ec2.ec2.describe_images(Owners=["amazon"], Filters=[named])["Images"]  # type: ignore[list-item]
    assert len(amazons) == 2
    assert {image["OwnerId"] for image in everyones} == {images.AMAZON, images.STRANGER}
    assert {image.get("ImageOwnerAlias") for image in amazons} == {"amazon"}


def test_parameters_are_found_by_path(local_ec2: LocalEc2) -> None:
    pages = local_ec2.client("ssm").get_paginator("get_parameters_by_path")
    path = "/aws/service/deeplearning/ami/x86_64"
    names = [
        entry["Name"] for page in pages.paginate(Path=path, Recursive=True) for entry in page["Parameters"]
    ]
    assert PYTORCH in names
    assert all(name.startswith(path) for name in names)


# Launches.


def test_a_launch_is_described_as_aws_does(local_ec2: LocalEc2) -> None:
    named = [{"Key": "Name", "Value": "n"}]
    tags = [{"ResourceType": kind, "Tags": named} for kind in ("instance", "volume")]
    options: dict[str, Any] = {
        "ImageId": local_ec2.image(),
        "InstanceType": "g4dn.xlarge",
        "TagSpecifications": tags,
        "MetadataOptions": {"HttpTokens": "required"},
    }
    control.set_faults({"boot_seconds": 0.3})
    (launched,) = local_ec2.ec2.run_instances(MinCount=1, MaxCount=1, **options)["Instances"]
    instance_id = launched["InstanceId"]
    assert launched["State"] == {"Code": 0, "Name": "pending"}
    assert local_ec2.describe(instance_id)["State"]["Name"] == "pending"
    found = local_ec2.wait_for(instance_id, "running")
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["Tags"] == [{"Key": "Name", "Value": "n"}]
    (device,) = found["BlockDeviceMappings"]
    (volume,) = local_ec2.ec2.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Size"] == images.ROOT_GIB
    assert volume["AvailabilityZone"] == found["Placement"]["AvailabilityZone"]
    assert volume["Tags"] == [{"Key": "Name", "Value": "n"}]


def test_the_same_token_gives_the_same_instance(local_ec2: LocalEc2) -> None:
    first = local_ec2.run(ClientToken="token-1")
    assert local_ec2.run(ClientToken="token-1") == first
    assert local_ec2.run(ClientToken="token-2") != first
    with pytest.raises(ClientError) as error:
        local_ec2.run(ClientToken="token-1", InstanceType="g5.xlarge")
    assert code(error) == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"KeyName": "nobody's"}, "InvalidKeyPair.NotFound"),
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "g5.tiny"}, "InvalidParameterValue"),
        ({"InstanceType": "g5g.xlarge"}, "InvalidParameterValue"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ({"Placement": {"AvailabilityZone": "eu-central-1z"}}, "Unsupported"),
        ({"IamInstanceProfile": {"Name": "nobody's"}}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30}}]},
            "InvalidBlockDeviceMapping",
        ),
    ],
)
def test_launches_are_refused_as_on_aws(local_ec2: LocalEc2, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ClientError) as error:
        local_ec2.run(**options)
    assert code(error) == expected


def test_a_launch_goes_where_the_type_is_offered(local_ec2: LocalEc2) -> None:
    kind = "availability-zone"
    wanted = [{"Name": "instance-type", "Values": ["g4dn.xlarge"]}]
    rows = local_ec2.client("ec2").describe_instance_type_offerings(LocationType=kind, Filters=wanted)
    zones = {row["Location"] for row in rows["InstanceTypeOfferings"]}
    assert local_ec2.describe(local_ec2.run())["Placement"]["AvailabilityZone"] in zones


def test_a_spot_request_gives_a_spot_instance(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch(InstanceMarketOptions={"MarketType": "spot"})
    assert local_ec2.describe(instance_id)["InstanceLifecycle"] == "spot"
    with pytest.raises(ClientError) as error:
        local_ec2.ec2.stop_instances(InstanceIds=[instance_id])
    assert code(error) == "UnsupportedOperation"


def test_the_account_has_what_every_account_has(local_ec2: LocalEc2) -> None:
    assert local_ec2.client("sts").get_caller_identity()["Account"].isdigit()
    (vpc,) = local_ec2.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = local_ec2.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])[
        "Subnets"
    ]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {f"{REGION}{letter}" for letter in "abc"}
    (pair,) = local_ec2.ec2.describe_key_pairs(KeyNames=[KEY_NAME], IncludePublicKey=True)["KeyPairs"]
    assert pair["PublicKey"].split()[:2] == local_ec2.key.with_suffix(".pub").read_text().split()[:2]


def test_the_server_has_pages_of_its_own(local_ec2: LocalEc2) -> None:
    assert get(local_ec2.endpoint.address_urls[0]).strip() == "127.0.0.1"
    assert control.status() is not None
    for page in ("health", "faults", "nothing"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(f"{local_ec2.endpoint.api_url}/_ec2/{page}")


# From inside.


def test_the_metadata_service_tells_an_instance_what_it_is(local_ec2: LocalEc2, shared_instance: str) -> None:
    found = local_ec2.describe(shared_instance)
    told = imds(
        local_ec2,
        shared_instance,
        *(
            "meta-data/instance-id",
            "meta-data/instance-type",
            "meta-data/ami-id",
            "meta-data/placement/region",
        ),
        *("meta-data/placement/availability-zone", "meta-data/local-ipv4", "meta-data/public-ipv4"),
        *("meta-data/spot/instance-action", "meta-data/iam/security-credentials/"),
    )
    assert list(told.values()) == [
        shared_instance,
        "g4dn.xlarge",
        local_ec2.image(),
        REGION,
        found["Placement"]["AvailabilityZone"],
        found["PrivateIpAddress"],
        found["PublicIpAddress"],
        "404",
        "404",
    ]


def test_the_metadata_service_answers_nobody_without_a_token(
    local_ec2: LocalEc2, shared_instance: str
) -> None:
    ask = "http://169.254.169.254/latest/meta-data/"
    script = (
        f"import urllib.request as u\ntry:\n  u.urlopen('{ask}')\nexcept u.HTTPError as e:\n  print(e.code)"
    )
    assert local_ec2.output(shared_instance, f'python3 -c "{script}"').strip() == "401"


def test_the_api_is_reached_from_inside(local_ec2: LocalEc2, shared_instance: str) -> None:
    assert local_ec2.output(shared_instance, "curl -s $AWS_ENDPOINT_URL/_ec2/address").strip() == "127.0.0.1"


def test_the_role_gives_credentials_that_work(local_ec2: LocalEc2) -> None:
    iam, name = local_ec2.client("iam"), f"role-{time.monotonic_ns()}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    instance_id = local_ec2.launch(IamInstanceProfile={"Name": name})
    path = f"meta-data/iam/security-credentials/{name}"
    told = imds(local_ec2, instance_id, "meta-data/iam/security-credentials/", "meta-data/iam/info", path)
    assert told["meta-data/iam/security-credentials/"] == name
    assert json.loads(told["meta-data/iam/info"])["InstanceProfileArn"].endswith(f"/{name}")
    given = json.loads(told[path])
    import boto3

    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["Token"], REGION)
    sts = session.client("sts", endpoint_url=local_ec2.endpoint.api_url)
    assert f"assumed-role/{name}/{instance_id}" in sts.get_caller_identity()["Arn"]


# Faults.


def test_capacity_lacks_everywhere_or_in_a_zone(local_ec2: LocalEc2) -> None:
    control.set_faults({"capacity": ["g4dn.xlarge"]})
    with pytest.raises(ClientError) as error:
        local_ec2.run()
    assert code(error) == "InsufficientInstanceCapacity"
    control.set_faults({"capacity": [f"g4dn.xlarge@{REGION}a"]})
    with pytest.raises(ClientError):
        local_ec2.run(Placement={"AvailabilityZone": f"{REGION}a"})
    found = local_ec2.describe(local_ec2.launch())
    assert found["Placement"]["AvailabilityZone"] == f"{REGION}b"
    (subnet,) = local_ec2.ec2.describe_subnets(SubnetIds=[found["SubnetId"]])["Subnets"]
    assert subnet["AvailabilityZone"] == f"{REGION}b"


def test_so_many_calls_are_throttled(local_ec2: LocalEc2) -> None:
    control.set_faults({"throttle": {"DescribeRegions": 2}})
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            local_ec2.ec2.describe_regions()
        assert code(error) == "RequestLimitExceeded"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert local_ec2.ec2.describe_regions()["Regions"]


@pytest.mark.parametrize("after", [False, True])
def test_an_error_comes_in_place_of_the_call_or_after_it(local_ec2: LocalEc2, after: bool) -> None:
    fault = {"code": "InternalError", "status": 500, "after": after}
    control.set_faults({"errors": {"CreateSecurityGroup": fault}})
    name = f"group-{after}"
    with pytest.raises(ClientError) as error:
        local_ec2.ec2.create_security_group(GroupName=name, Description="d")
    assert code(error) == "InternalError"
    named = {"Name": "group-name", "Values": [name]}
    assert bool(local_ec2.ec2.describe_security_groups(Filters=[named])["SecurityGroups"]) == after  # type: ignore[list-item]


def test_an_answer_lost_is_asked_again_with_the_token(local_ec2: LocalEc2) -> None:
    control.set_faults({"errors": {"RunInstances": {"code": "drop", "times": 1, "after": True}}})
    before = len(local_ec2.ec2.describe_instances()["Reservations"])
    with pytest.raises(ConnectionClosedError):
        local_ec2.run(ClientToken="lost")
    assert local_ec2.run(ClientToken="lost")
    assert len(local_ec2.ec2.describe_instances()["Reservations"]) == before + 1


def test_errors_of_other_services_are_in_their_form(local_ec2: LocalEc2) -> None:
    control.set_faults({"errors": {"GetParameter": "ParameterNotFound", "GetCallerIdentity": "ExpiredToken"}})
    with pytest.raises(ClientError) as error:
        local_ec2.image()
    assert code(error) == "ParameterNotFound"
    with pytest.raises(ClientError) as error:
        local_ec2.client("sts").get_caller_identity()
    assert code(error) == "ExpiredToken"


def test_the_network_is_cut_slow_and_dropped_on_demand(local_ec2: LocalEc2, shared_instance: str) -> None:
    argv = local_ec2.ssh_argv(shared_instance, "cat")
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        talk.stdin.write(b"one\n")
        talk.stdin.flush()
        assert talk.stdout.readline() == b"one\n"
        control.set_faults({"cut": True})
        # Of two such options the first one counts; the link's own end would take a minute.
        hangs = ["ssh", "-o", "ConnectTimeout=3", *local_ec2.ssh_argv(shared_instance, "true")[1:]]
        assert subprocess.run(hangs, stdin=subprocess.DEVNULL, check=False).returncode == 255
        control.set_faults({"latency_ms": 60})
        talk.stdin.write(b"two\n")
        talk.stdin.flush()
        assert talk.stdout.readline() == b"two\n"
        control.set_faults({"drop_ssh": True})
        assert talk.wait(60) == 255
    assert local_ec2.ssh(shared_instance, "true").returncode == 0


def test_a_spot_instance_is_told_and_then_ended(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch(InstanceMarketOptions={"MarketType": "spot"})
    control.set_faults({"spot_notice": instance_id, "spot_seconds": 3})
    told = imds(local_ec2, instance_id, "meta-data/spot/instance-action")
    assert json.loads(told["meta-data/spot/instance-action"])["action"] == "terminate"
    ended = local_ec2.wait_for(instance_id, "terminated")
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_a_disk_can_be_full(local_ec2: LocalEc2) -> None:
    control.set_faults({"disk_full_mb": 5})
    instance_id = local_ec2.launch()
    said = local_ec2.ssh(instance_id, "head -c 10M /dev/zero > big")
    assert said.returncode != 0
    assert "No space left on device" in said.stderr


def test_a_boot_can_be_slow_and_be_ended_meanwhile(local_ec2: LocalEc2) -> None:
    control.set_faults({"boot_seconds": 600})
    instance_id = local_ec2.run()
    assert local_ec2.state(instance_id) == "pending"
    address = local_ec2.describe(instance_id)["PublicIpAddress"]
    assert address.startswith("127.77.")
    local_ec2.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: local_ec2.state(instance_id) == "terminated", "the end")
