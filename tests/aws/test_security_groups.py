from __future__ import annotations

import pytest

from ec2tasks.aws.client import Aws
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.aws.security_groups import (
    open_ssh_port,
    own_cidr,
    rule_description,
    security_group,
    ssh_rule,
    stale_rules,
)
from ec2tasks.base.errors import Failure, UsageError


def rules(aws: Aws, group_id: str) -> set[tuple[str, int]]:
    (group,) = aws.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    return {
        (network["CidrIp"], rule["FromPort"])
        for rule in group["IpPermissions"]
        for network in rule.get("IpRanges", [])
    }


def vpc(aws: Aws) -> str:
    return usable_subnets(aws)[0].vpc


def test_a_rule_for_each_kind_of_address() -> None:
    assert ssh_rule("1.2.3.4/32", 22)["IpRanges"][0]["CidrIp"] == "1.2.3.4/32"
    assert ssh_rule("2001:db8::1/128", 22)["Ipv6Ranges"][0]["CidrIpv6"] == "2001:db8::1/128"


def test_only_this_machine_s_earlier_addresses_are_closed() -> None:
    ours, other = rule_description(), "ec2tasks another-laptop"
    ranges = [("1.1.1.1/32", ours), ("2.2.2.2/32", ours), ("3.3.3.3/32", other), ("0.0.0.0/0", "admin")]
    group = {
        "IpPermissions": [
            {"IpRanges": [{"CidrIp": network, "Description": text} for network, text in ranges]}
        ]
    }
    stale = stale_rules(group, "2.2.2.2/32", 22)  # type: ignore[arg-type]
    assert [rule["IpRanges"][0]["CidrIp"] for rule in stale] == ["1.1.1.1/32"]


def test_a_group_of_one_s_own_is_made_once_and_opened_to_this_address_alone(aws: Aws) -> None:
    group_id = security_group(aws, None, owner="nina", vpc=vpc(aws))
    assert security_group(aws, None, owner="nina", vpc=vpc(aws)) == group_id
    assert open_ssh_port(aws, [group_id], owner="nina", port=2222)
    assert not open_ssh_port(aws, [group_id], owner="nina", port=2222)
    assert rules(aws, group_id) == {("127.0.0.1/32", 2222)}


def test_an_address_that_changed_is_followed(aws: Aws) -> None:
    group_id = security_group(aws, None, owner="nomad", vpc=vpc(aws))
    aws.ec2.authorize_security_group_ingress(
        GroupId=group_id, IpPermissions=[ssh_rule("203.0.113.7/32", 2222)]
    )
    assert open_ssh_port(aws, [group_id], owner="nomad", port=2222)
    assert rules(aws, group_id) == {("127.0.0.1/32", 2222)}


def test_the_administrator_s_group_comes_first_and_is_left_as_it_is(aws: Aws) -> None:
    shared = aws.ec2.create_security_group(GroupName="SshEC2", Description="x", VpcId=vpc(aws))["GroupId"]
    try:
        assert security_group(aws, None, owner="otto", vpc=vpc(aws)) == shared
        assert not open_ssh_port(aws, [shared], owner="otto", port=2222)
        assert rules(aws, shared) == set()
    finally:
        aws.ec2.delete_security_group(GroupId=shared)


def test_a_group_that_is_not_there_is_named(aws: Aws) -> None:
    with pytest.raises(UsageError, match="`nope`"):
        security_group(aws, "nope", owner="kim", vpc=vpc(aws))


def test_no_network_to_tell_the_address_is_said(aws: Aws) -> None:
    import dataclasses

    cut = dataclasses.replace(aws.endpoint, address_url="http://127.0.0.1:9/")
    with pytest.raises(Failure, match="did not tell"):
        own_cidr(Aws(endpoint=cut, region=aws.region))


def test_where_no_group_may_be_made_that_is_said(aws: Aws) -> None:
    with pytest.raises(UsageError, match="none may be made") as caught:
        security_group(aws, None, owner="nobody-yet", vpc=vpc(aws), create=False)
    assert "admin.setup" in str(caught.value.hint)
