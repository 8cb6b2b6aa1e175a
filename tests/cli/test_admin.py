from __future__ import annotations

import json

import pytest
from support.project import ScratchProject

from ec2tasks.admin.policy import parse_rights, policy_document


def test_the_policy_is_printed_with_no_account(project: ScratchProject) -> None:
    said = project.ec2tasks(
        "admin.policy", "--without", "spot", "--role", "Mine", "--owner", "${aws:username}"
    )
    assert said.code == 0, said.err
    wanted = parse_rights(without=["spot"], roles=["Mine"], owner="${aws:username}")
    assert json.loads(said.out) == policy_document(wanted)


def test_types_regions_and_keys_are_conditions_in_the_region_s_part_of_aws(project: ScratchProject) -> None:
    key = "12345678-90ab-cdef-1234-567890abcdef"
    said = project.ec2tasks("admin.policy", "--type", "g4dn.*", "--region", "us-gov-west-1", "--kms-key", key)
    assert said.code == 0, said.err
    wanted = parse_rights(types=["g4dn.*"], regions=["us-gov-west-1"], keys=[key], partition="aws-us-gov")
    assert json.loads(said.out) == policy_document(wanted)
    said = project.ec2tasks("admin.policy", "--region", "cn-north-1", "--region", "eu-west-1")
    assert said.code == 2
    assert "in parts of AWS that share no account: aws, aws-cn" in said.err


@pytest.mark.parametrize("words", [("admin.setup", "--dry-run"), ("--dry", "admin.setup")])
def test_a_dry_run_shows_and_changes_nothing(words: tuple[str, ...], local_project: ScratchProject) -> None:
    for _ in range(2):
        said = local_project.ec2tasks(*words, "--bucket", "data", "--network", "192.0.2.0/24")
        assert said.code == 0, said.err
        assert "would give role EC2ReadOnlyAccessToS3 read-only access to s3://data" in said.out
        assert "would create security group SshEC2" in said.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--without", "tea"), "`tea`"),
        (("--bucket", "NO"), "`NO`"),
        (("--network", "0.0.0.0/0"), "whole internet"),
        (("--permission-set", "a b"), "`a b`"),
        (("--type", "g4dn xlarge"), "`g4dn xlarge`"),
    ],
)
def test_a_mistake_is_named(words: tuple[str, ...], says: str, local_project: ScratchProject) -> None:
    said = local_project.ec2tasks("admin.setup", *words)
    assert (said.code, says in said.err) == (2, True), said.err
