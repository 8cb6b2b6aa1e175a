"""What was seen of an account, as data, and what is found in it: well, to be warned of, or to mend."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import settings

from ec2tasks.aws.examine import Identity, Seen, dry_request
from ec2tasks.aws.images import Image
from ec2tasks.aws.instance_types import TypeFacts
from ec2tasks.aws.launch_request import Candidate
from ec2tasks.aws.networks import Subnet
from ec2tasks.aws.prices import shipped_rates
from ec2tasks.aws.quotas import Quota
from ec2tasks.aws.usage import Usage, vcpus_in_use
from ec2tasks.base.errors import Failure
from ec2tasks.commands.findings import Finding, Level, age_in_days, findings, of_failure
from ec2tasks.lifecycle.pricing import Told

REGION = "eu-central-1"
SUBNETS = [Subnet(id=f"subnet-{zone}", zone=f"{REGION}{zone}", vpc="vpc-1") for zone in "ab"]
TYPES = ("g4dn.xlarge", "g5.xlarge")
G = Quota(name="Running On-Demand G and VT instances", code="L-DB2E81BA")


def usage(limit: float | None, used: int = 0) -> dict[str, Usage]:
    return dict.fromkeys(TYPES, Usage(quota=G, limit=limit, used=used))


def group(cidr: str, name: str = "SshEC2") -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]}
    return {"GroupId": "sg-1", "GroupName": name, "IpPermissions": [rule]}


IMAGE = Image(
    id="ami-1",
    name="Deep Learning AMI GPU PyTorch",
    user="ubuntu",
    root_device="/dev/sda1",
    disk_sizes={"/dev/sda1": 65},
)
DENIED = Failure("AWS refuses RunInstances: UnauthorizedOperation", hint="ask your administrator")
WELL = Seen(
    identity=Identity(account="123456789012", arn="arn:aws:iam::123456789012:user/kim", skew=0.4),
    address=("203.0.113.7/32",),
    subnets=SUBNETS,
    offers={name: {f"{REGION}a", f"{REGION}b"} for name in TYPES},
    facts=dict.fromkeys(TYPES, TypeFacts(arch="x86_64", vcpus=4, gpus=1)),
    to_try=[Candidate(instance_type=name, subnet=subnet) for name in TYPES for subnet in SUBNETS],
    key="ssh-ed25519 AAAA",
    profile="EC2ReadOnlyAccessToS3",
    usage=usage(8),
    image=IMAGE,
    group=group("203.0.113.0/24"),
    ways={"subnet-a": "igw", "subnet-b": "igw"},
    dry=None,
)
TOLD = Told(rates=shipped_rates(REGION))


def found(seen: Seen, *, has_key: bool = True, told: Told = TOLD, **options: object) -> dict[str, Finding]:
    asked = settings(region=REGION, instance_type=list(TYPES), **options)
    return {one.name: one for one in findings(seen, told, asked, port=22, has_key=has_key)}


def test_a_quota_that_the_project_s_own_instance_fills_keeps_no_run_from_working() -> None:
    seen = replace(WELL, usage=usage(4, 4))
    assert found(seen)["quota"].level is Level.MEND
    asked = settings(region=REGION, instance_type=list(TYPES))
    listed = findings(seen, TOLD, asked, port=22, has_key=True, running="kim-shop (i-1)")
    (quota,) = (one for one in listed if one.name == "quota")
    assert (quota.level, quota.hint) == (Level.OK, None)
    assert quota.text.endswith("a run takes kim-shop (i-1), which is up already")


def test_an_account_in_which_all_is_well_has_nothing_to_type() -> None:
    listed = found(WELL)
    assert {one.level for one in listed.values()} == {Level.OK}
    assert {one.hint for one in listed.values()} == {None}
    assert listed["type"].text == "g4dn.xlarge, g5.xlarge in eu-central-1a, eu-central-1b"
    assert listed["price"].text.startswith("g4dn.xlarge in eu-central-1: $0.66 an hour, disk $0.008")
    assert listed["quota"].text.endswith("0 vCPUs run of 8; needed: 4 for g4dn.xlarge, 4 for g5.xlarge")


# What is seen otherwise, the finding it comes to, its level, what it says and what is to type.
OTHERWISE: list[tuple[dict[str, Any], str, Level, str, str]] = [
    ({"identity": replace(WELL.identity, skew=95.0)}, "clock", Level.WARNING, "95 s ahead of", "timedatectl"),
    ({"identity": replace(WELL.identity, skew=-95.0)}, "clock", Level.WARNING, "95 s behind", "timedatectl"),
    ({"to_try": WELL.to_try[:2]}, "type", Level.WARNING, "g5.xlarge is not offered", "--type g4dn.xlarge"),  # type: ignore[index]
    ({"image": replace(IMAGE, name="ubuntu-24.04")}, "image", Level.WARNING, "no driver", "--image base"),
    (
        {"image": replace(IMAGE, created="2020-01-01T00:00:00.000Z")},
        "image",
        Level.WARNING,
        "days old",
        "newest",
    ),
    ({"usage": usage(0)}, "quota", Level.MEND, "0 vCPUs run of 0", "--quota-code L-DB2E81BA"),
    ({"usage": usage(8, 6)}, "quota", Level.MEND, "6 vCPUs run of 8", "request-service-quota-increase"),
    ({"usage": usage(None, 6)}, "quota", Level.OK, "a number that AWS does not tell", ""),
    ({"usage": DENIED}, "quota", Level.WARNING, "refuses", "ask your administrator"),
    ({"ways": {"subnet-a": "nat", "subnet-b": ""}}, "route", Level.MEND, "subnet-b (no route)", "gateway"),
    ({"ways": {"subnet-a": "nat", "subnet-b": "igw"}}, "route", Level.WARNING, "subnet-a (nat)", "gateway"),
    ({"group": group("192.0.2.0/24")}, "security group", Level.MEND, "does not let 203.0.113.7", "authorize"),
    ({"group": group("0.0.0.0/0")}, "security group", Level.WARNING, "everybody", "revoke-security-group"),
    ({"group": group("192.0.2.0/24", "ec2tasks-kim")}, "security group", Level.OK, "as it is needed", ""),
    ({"group": None}, "security group", Level.OK, "`ec2tasks-kim` will be made", ""),
    ({"address": Failure("no network", hint="x")}, "own address", Level.WARNING, "no network", "x"),
    ({"key": None}, "key pair", Level.OK, "imports your public key", ""),
    ({"profile": None}, "role", Level.OK, "no AWS rights", ""),
    ({"dry": DENIED}, "rights", Level.MEND, "UnauthorizedOperation", "ask your administrator"),
]


@pytest.mark.parametrize(("seen", "name", "level", "says", "hint"), OTHERWISE)
def test_what_is_otherwise_is_found_and_nothing_else(
    seen: dict[str, Any], name: str, level: Level, says: str, hint: str
) -> None:
    listed = found(replace(WELL, **seen))
    assert (listed[name].level, says in listed[name].text) == (level, True)
    assert hint in (listed[name].hint or "")
    assert {one.name for one in listed.values() if one.level is not Level.OK} <= {name}


def test_what_a_call_asks_is_held_against_what_is_there() -> None:
    assert found(WELL, disk_gb=20)["disk"].hint == "--disk-gb 65, or more"
    assert found(WELL, disk_gb=100)["disk"].text == "100 GiB, 35 beyond the image's"
    none = replace(WELL, group=None)
    assert found(none, security_group="gone")["security group"].level is Level.MEND
    assert found(none, create_security_group=False)["security group"].level is Level.MEND
    assert found(WELL, has_key=False)["key pair"].level is Level.MEND


def test_inside_a_network_no_way_in_from_the_internet_is_missed() -> None:
    seen = replace(WELL, ways={"subnet-a": "nat"}, address=("10.0.0.0/8",), group=group("10.0.0.0/16"))
    listed = found(seen, via="bastion", ssh_from="10.0.0.0/8")
    assert listed["route"].level is Level.OK
    assert "no public address is asked for" in listed["network"].text
    assert "authorize-security-group-ingress" in (listed["security group"].hint or "")
    assert found(seen)["route"].level is Level.MEND


def test_one_failure_is_said_once_and_what_it_hides_is_named() -> None:
    nowhere = Failure("the account has no default network in eu-central-1", hint="create-default-vpc")
    seen = replace(
        WELL, subnets=nowhere, to_try=nowhere, image=nowhere, group=nowhere, ways=nowhere, dry=nowhere
    )
    listed = found(seen)
    assert [one.name for one in listed.values() if one.level is Level.MEND] == ["type"]
    assert listed["rights"].text == "not looked at, for the reason of `type`"


def test_a_failure_s_lines_are_told_too() -> None:
    failure = Failure(
        "the files wish what reaches beyond:", lines=["subnet: subnet-1", "ports: 80"], hint="x"
    )
    assert of_failure("trust", failure).text == (
        "the files wish what reaches beyond: subnet: subnet-1; ports: 80"
    )


def test_a_price_that_is_not_aws_s_own_is_said_to_be_none() -> None:
    slow = Failure("AWS has told no price within 1 s", hint="`ec2tasks quote` asks again")
    price = found(WELL, told=Told(rates=shipped_rates(REGION), refused=slow))["price"]
    assert (price.level, price.hint) == (Level.WARNING, "`ec2tasks quote` asks again")
    assert "the list that comes with ec2tasks" in price.text


def test_a_dry_run_names_nothing_that_is_not_there_yet() -> None:
    request = {"ClientToken": "", "KeyName": "kim", "SecurityGroupIds": [""], "SubnetId": "subnet-a"}
    assert dry_request(request, has_key=False) == {"SubnetId": "subnet-a", "DryRun": True}
    private = {"KeyName": "kim", "NetworkInterfaces": [{"SubnetId": "subnet-a", "Groups": [""]}]}
    assert dry_request(private, has_key=True) == {
        "KeyName": "kim",
        "NetworkInterfaces": [{"SubnetId": "subnet-a"}],
        "DryRun": True,
    }
    whole = {"SecurityGroupIds": ["sg-1"], "KeyName": "kim"}
    assert dry_request(whole, has_key=True) == {**whole, "DryRun": True}


FACTS = {name: TypeFacts(arch="x86_64", vcpus=4, gpus=0) for name in (*TYPES, "m5.xlarge")}


@given(st.lists(st.tuples(st.sampled_from([*TYPES, "m5.xlarge", "odd.huge"]), st.booleans())))
def test_what_runs_counts_for_one_quota_each(running: list[tuple[str, bool]]) -> None:
    used = vcpus_in_use(running, FACTS)
    assert sum(used.values()) == 4 * sum(name in FACTS for name, _ in running)
    on_demand = sum(name in TYPES and not spot for name, spot in running)
    assert used.get(G.code, 0) == 4 * on_demand


@pytest.mark.parametrize(("created", "days"), [("2026-11-01T08:00:00.000Z", 28), ("", None), ("junk", None)])
def test_the_days_since_an_image_was_made(created: str, days: int | None) -> None:
    assert age_in_days(created, lambda: datetime(2026, 11, 29, 12, tzinfo=timezone.utc)) == days
