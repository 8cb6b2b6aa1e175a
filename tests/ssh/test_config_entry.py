from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.values import ssh_host

from ec2tasks.base.errors import UsageError
from ec2tasks.ssh.config_entry import alias_of, entry_text, include_line
from ec2tasks.ssh.host import Host

ODD = st.text(alphabet="aZ09._-/ %$\"'\\\n\r\t#={}*?~é\x7f", min_size=1, max_size=12)


def as_ssh_reads(text: str, alias: str) -> dict[str, str]:
    """What ssh makes of an ssh_config for this host, before a `Host *` of the user's that wants all else."""
    wishes = "User eve,Port 1,IdentityFile /x,ForwardAgent yes,ForwardX11 yes,ProxyJump elsewhere"
    mine = "\n  ".join(["Host *", *wishes.split(",")]) + "\n"
    said = subprocess.run(
        ["ssh", "-G", "-F", "/dev/stdin", alias],
        input=(text + mine).encode(),
        capture_output=True,
        check=True,
    )
    lines = said.stdout.decode(errors="surrogateescape").splitlines()
    pairs = [line.partition(" ")[::2] for line in lines]
    return dict(reversed(pairs))  # of several keys the first


def check_read(host: Host, alias: str) -> None:
    """Hold what ssh makes of the entry against what was meant by it."""
    read = as_ssh_reads(entry_text(alias, host), alias)
    assert {
        "hostname": host.address,
        "port": str(host.port),
        "user": host.user,
        "hostkeyalias": host.instance_id,
        "checkhostip": "no",
        "stricthostkeychecking": "true",
        "identitiesonly": "yes" if host.only_these else "no",
        "forwardagent": "no",
        "forwardx11": "no",
        "userknownhostsfile": str(host.known_hosts),
    }.items() <= read.items()
    if host.identities:
        assert read["identityfile"].replace("%%", "%") == str(host.identities[0])
    assert read.get("proxycommand", "none").replace("%%", "%") == (" ".join(host.proxy) or "none")
    assert "proxyjump" not in read


@settings(max_examples=50)
@given(name=ODD, user=ODD, address=ODD, folder=ODD, key=ODD)
def test_ssh_reads_what_was_meant_or_nothing_is_written(
    name: str, user: str, address: str, folder: str, key: str
) -> None:
    fit = ssh_host(Path("/nowhere"))
    alias = alias_of(name)
    for changed in (
        {"user": user},
        {"address": address},
        {"known_hosts": Path(f"/{folder}/known_hosts"), "identities": (Path("/keys", key),)},
    ):
        host = ssh_host(Path("/nowhere"), **changed)
        try:
            entry_text(alias, host)
        except UsageError:
            assert host != fit
        else:
            check_read(host, alias)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"user": "ubuntu"}, True),
        ({"user": "ubuntu\n    ProxyCommand touch /tmp/owned"}, False),
        ({"user": "-oProxyCommand=x"}, False),
        ({"user": "a$(id)"}, False),
        ({"address": "10.0.0.7"}, True),
        ({"address": "2001:db8::7"}, True),
        ({"address": "fe80::1%eth0"}, False),
        ({"address": "0x7f.1"}, False),
        ({"address": "-x"}, False),
        ({"address": "1.2.3.4 User eve"}, False),
        ({"instance_id": "i-1\nMatch all"}, False),
        ({"known_hosts": Path("/a b/100%/it's/known_hosts")}, True),
        ({"known_hosts": Path('/a"b/known_hosts')}, False),
        ({"known_hosts": Path("/${HOME}/known_hosts")}, False),
        ({"identities": (Path("/a\nb"),)}, False),
        ({"identities": (), "only_these": False}, True),
        ({"proxy": ("ssh", "-W", "10.0.0.7:22", "bastion")}, True),
        ({"proxy": ("ssh", "a\nb")}, False),
    ],
)
def test_a_value_that_could_become_an_option_is_refused(value: dict[str, object], fits: bool) -> None:
    host = ssh_host(Path("/nowhere"), **value)
    if fits:
        check_read(host, "ec2-shop")
    else:
        with pytest.raises(UsageError, match="can't stand in an ssh_config"):
            entry_text("ec2-shop", host)


@pytest.mark.parametrize(
    ("name", "apart", "alias"),
    [
        ("nina-shop", "", "ec2-nina-shop"),
        ("nina-shop", "0a1b2c3d", "ec2-nina-shop-0a1b2c3d"),
        ("nina my shop*", "", "ec2-nina-my-shop"),
        ("-oProxyCommand=x", "", "ec2-oProxyCommand-x"),
        ("ü\n", "", "ec2-instance"),
    ],
)
def test_a_name_is_one_that_ssh_and_editors_take(name: str, apart: str, alias: str) -> None:
    assert alias_of(name, apart=apart) == alias


def test_the_line_that_includes_them_names_the_file_and_no_pattern() -> None:
    assert include_line(Path("/home/nina/.local/state/x")) == "Include /home/nina/.local/state/x"
    assert include_line(Path("/home/my state/x")) == 'Include "/home/my state/x"'
    for path in ("/a*/x", "/~nina/x", "/a%h/x", '/a"/x', "/a\n/x"):
        with pytest.raises(UsageError, match="can't stand in an ssh_config"):
            include_line(Path(path))
