from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.values import AWS_NOWHERE, INSTANCE, call_context, ssh_host

from ec2tasks.aws.client import Aws
from ec2tasks.aws.login import Login
from ec2tasks.base.endpoint import AWS, Endpoint
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import State
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.ssh.connect import fabric_connection
from ec2tasks.ssh.host import rsync_shell, ssh_options
from ec2tasks.ssh.way import no_address, proxy_argv

INSIDE = replace(INSTANCE, private_address="10.0.0.7")


@pytest.mark.parametrize(
    ("via", "address", "program"),
    [
        ("public", "1.2.3.4", ""),
        ("private", "10.0.0.7", ""),
        ("bastion", "10.0.0.7", "ssh -o BatchMode=yes -o ConnectTimeout=10 -W 10.0.0.7:22 bastion"),
        ("kim@bastion", "10.0.0.7", "ssh -o BatchMode=yes -o ConnectTimeout=10 -W 10.0.0.7:22 kim@bastion"),
        (
            "eice",
            "10.0.0.7",
            "aws ec2-instance-connect open-tunnel --instance-id i-1 --remote-port 22 --region eu-central-1",
        ),
    ],
)
def test_each_way_has_its_address_and_its_program(via: str, address: str, program: str) -> None:
    assert INSIDE.address_by(via) == address
    assert shlex.join(proxy_argv(via, INSIDE.id, address, AWS_NOWHERE)) == program


def test_an_endpoint_of_one_s_own_is_asked_for_its_tunnels() -> None:
    own = Aws(endpoint=Endpoint(api_url="http://127.0.0.1:5000"), region="eu-central-1")
    assert proxy_argv("eice", "i-1", "10.0.0.7", own)[-2:] == ("--endpoint-url", "http://127.0.0.1:5000")


def test_the_aws_cli_is_told_the_profile_where_no_keys_count_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aws = Aws(endpoint=AWS, region="eu-central-1", login=Login(profile="work"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert proxy_argv("eice", "i-1", "10.0.0.7", aws)[-2:] == ("--profile", "work")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    assert "--profile" not in proxy_argv("eice", "i-1", "10.0.0.7", aws)


def test_ssh_rsync_and_fabric_go_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    host = ssh_host(tmp_path, proxy=("ssh", "-W", "10.0.0.7:22", "a 100% host"))
    written = "ssh -W 10.0.0.7:22 'a 100%% host'"
    assert f"ProxyCommand={written}" in ssh_options(host)
    assert f'"ProxyCommand={written}"' in rsync_shell(host)
    connection = fabric_connection(replace(host, proxy=("ssh", "-W", "10.0.0.7:22", "bastion")))
    assert connection.gateway == "ssh -W 10.0.0.7:22 bastion"
    assert fabric_connection(ssh_host(tmp_path)).gateway is None


def test_one_without_an_address_says_what_would_reach_it() -> None:
    assert "no public address" in no_address("public", INSIDE).what
    assert "via: eice" in str(no_address("public", INSIDE).hint)
    assert "no private address" in no_address("bastion", INSTANCE).what


def test_without_the_aws_cli_there_is_no_way_by_the_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ec2tasks.lifecycle.acquire.shutil.which", lambda name: None if name == "aws" else name
    )
    context = call_context(State(folder=tmp_path, sockets=tmp_path), via="eice")
    with pytest.raises(Failure, match="`aws` is not installed") as caught:
        check_local_tools(context, moves=False)
    assert "2.12" in str(caught.value.hint)
