from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.aws.ssh_rules import (
    DATED_ANEW,
    HOST_GONE,
    Opening,
    openings,
    rule_changes,
    rule_description,
    ssh_rule,
)

TODAY = date(2026, 11, 29)
HERE, WORK = "198.51.100.7/32", "203.0.113.0/24"


def opening(network: str, description: str, port: int = 22) -> Opening:
    return Opening(network=network, port=port, description=description)


def dated(host: str, days: int) -> str:
    return rule_description(host, TODAY - timedelta(days=days))


@pytest.mark.parametrize(
    ("found", "revoked", "made", "opened"),
    [
        ([], [], [HERE], [HERE]),
        ([opening(HERE, dated("me", 0))], [], [], []),
        ([opening(HERE, dated("me", DATED_ANEW.days))], [HERE], [HERE], []),
        ([opening(HERE, "ec2tasks me")], [HERE], [HERE], []),
        ([opening(WORK, dated("me", 0))], [WORK], [HERE], [HERE]),
        ([opening(HERE, dated("me", 0), port=2222)], [HERE], [HERE], [HERE]),
        ([opening(WORK, dated("other", HOST_GONE.days))], [], [HERE], [HERE]),
        ([opening(WORK, dated("other", HOST_GONE.days + 1))], [WORK], [HERE], [HERE]),
        ([opening(WORK, "ec2tasks other")], [], [HERE], [HERE]),
        ([opening(WORK, "ec2tasks other 2026-99-99")], [], [HERE], [HERE]),
        ([opening(WORK, "ec2tasks admin.setup"), opening("0.0.0.0/0", "")], [], [HERE], [HERE]),
        ([opening(WORK, "made by hand 2020-01-01")], [], [HERE], [HERE]),
    ],
)
def test_a_group_lets_in_this_machine_and_nobody_that_is_gone(
    found: list[Opening], revoked: list[str], made: list[str], opened: list[str]
) -> None:
    changes = rule_changes(found, [HERE], port=22, host="me", today=TODAY)
    assert [rule["IpRanges"][0]["CidrIp"] for rule in changes.revoke] == revoked
    assert [rule["IpRanges"][0]["CidrIp"] for rule in changes.make] == made
    assert list(changes.opened) == opened
    assert all(rule["IpRanges"][0]["Description"] == dated("me", 0) for rule in changes.make)


NETWORK = st.sampled_from([HERE, WORK, "2001:db8::/32"])
FOUND = st.lists(
    st.builds(
        opening,
        NETWORK,
        st.one_of(
            st.builds(dated, st.sampled_from(["me", "other"]), st.integers(0, 60)),
            st.text(max_size=30),
        ),
        st.sampled_from([22, 2222]),
    ),
    max_size=6,
)


@given(found=FOUND, networks=st.lists(NETWORK, unique=True))
def test_nothing_is_revoked_that_ec2tasks_did_not_make_and_the_second_look_changes_nothing(
    found: list[Opening], networks: list[str]
) -> None:
    changes = rule_changes(found, networks, port=22, host="me", today=TODAY)
    revoked = openings({"IpPermissions": list(changes.revoke)})  # type: ignore[arg-type]
    made = openings({"IpPermissions": list(changes.make)})  # type: ignore[arg-type]
    assert all(one.description.startswith("ec2tasks ") for one in revoked)
    left = [one for one in found if one not in revoked] + list(made)
    again = rule_changes(left, networks, port=22, host="me", today=TODAY)
    assert (again.revoke, again.make) == ((), ())
    mine = {one.network for one in left if one.description == dated("me", 0)}
    assert mine <= set(networks)


def test_a_rule_for_each_kind_of_address() -> None:
    assert ssh_rule("1.2.3.4/32", 22, "x")["IpRanges"][0]["CidrIp"] == "1.2.3.4/32"
    assert ssh_rule("2001:db8::1/128", 22, "x")["Ipv6Ranges"][0]["CidrIpv6"] == "2001:db8::1/128"
