from __future__ import annotations

from datetime import date

import pytest

from ec2tasks.aws.client import Aws
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.aws.security_groups import open_ssh_port, security_group
from ec2tasks.aws.ssh_rules import rule_description, ssh_rule, this_host
from ec2tasks.base.errors import UsageError

TODAY = date(2026, 11, 29)


def opened(aws: Aws, group_id: str, owner: str, *networks: str) -> bool:
    return open_ssh_port(
        aws, [group_id], owner=owner, port=2222, networks=lambda: networks, today=lambda: TODAY
    )


def rules(aws: Aws, group_id: str) -> set[tuple[str, int]]:
    (group,) = aws.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    return {
        (network["CidrIp"], rule["FromPort"])
        for rule in group["IpPermissions"]
        for network in rule.get("IpRanges", [])
    }


def vpc(aws: Aws) -> str:
    return usable_subnets(aws)[0].vpc


def test_a_group_of_one_s_own_is_made_once_and_opened_to_this_address_alone(aws: Aws) -> None:
    group_id = security_group(aws, None, owner="nina", vpc=vpc(aws))
    assert security_group(aws, None, owner="nina", vpc=vpc(aws)) == group_id
    assert opened(aws, group_id, "nina", "127.0.0.1/32")
    assert not opened(aws, group_id, "nina", "127.0.0.1/32")
    assert rules(aws, group_id) == {("127.0.0.1/32", 2222)}


def test_an_address_that_changed_is_followed_and_what_a_gone_machine_left_is_closed(aws: Aws) -> None:
    group_id = security_group(aws, None, owner="nomad", vpc=vpc(aws))
    left = {"203.0.113.7/32": this_host(), "203.0.113.8/32": "old-laptop", "2001:db8::/32": "old-laptop"}
    before = [
        ssh_rule(network, 2222, rule_description(host, date(2026, 9, 1))) for network, host in left.items()
    ]
    aws.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=before)
    assert opened(aws, group_id, "nomad", "127.0.0.1/32")
    assert rules(aws, group_id) == {("127.0.0.1/32", 2222)}


def test_the_administrator_s_group_comes_first_and_is_left_as_it_is(aws: Aws) -> None:
    shared = aws.ec2.create_security_group(GroupName="SshEC2", Description="x", VpcId=vpc(aws))["GroupId"]
    try:
        assert security_group(aws, None, owner="otto", vpc=vpc(aws)) == shared
        assert not opened(aws, shared, "otto", "127.0.0.1/32")
        assert rules(aws, shared) == set()
    finally:
        aws.ec2.delete_security_group(GroupId=shared)


def test_a_group_that_is_not_there_is_named(aws: Aws) -> None:
    with pytest.raises(UsageError, match="`nope`"):
        security_group(aws, "nope", owner="kim", vpc=vpc(aws))


def test_where_no_group_may_be_made_that_is_said(aws: Aws) -> None:
    with pytest.raises(UsageError, match="none may be made") as caught:
        security_group(aws, None, owner="nobody-yet", vpc=vpc(aws), create=False)
    assert "admin.setup" in str(caught.value.hint)
