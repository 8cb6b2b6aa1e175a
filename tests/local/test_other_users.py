"""The local EC2 is its user's alone: nobody else of this machine, and no instance, gets anything from it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st
from support.local_ec2 import REGION, LocalEc2
from support.waiting import until

from ec2tasks.base import peer
from ec2tasks.base.errors import Failure
from ec2tasks.local import control, signature
from ec2tasks.local.layout import Layout, make_private, state_folder, this_layout

OTHER = 65534  # nobody
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


def as_other(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command as another user of this machine."""
    other = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--", *argv]
    return subprocess.run(other, capture_output=True, text=True, check=False, cwd="/", timeout=60)


# Files.


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_no_file_of_it_is_reached_by_others(local_ec2: LocalEc2, shared_instance: str, umask: int) -> None:
    local_ec2.output(
        shared_instance, f"umask {umask:o}; mkdir -p shared/{umask}; echo x >shared/{umask}/file"
    )
    paths = [str(local_ec2.root / "server.json"), *map(str, local_ec2.root.rglob("*"))]
    assert any(path.endswith(f"home/shared/{umask}/file") for path in paths)
    script = (
        'for path; do stat "$path" || cat "$path" || ls "$path"; done; ls "$0"; cd "$0"; echo x >"$0/new"'
    )
    said = as_other("/bin/bash", "-c", script, str(local_ec2.root), *paths)
    assert said.stdout == ""
    assert len(said.stderr.splitlines()) >= len(paths) * 3
    assert not (local_ec2.root / "new").exists()


def test_what_finds_the_server_is_its_users_alone(local_ec2: LocalEc2) -> None:
    layout = Layout(root=local_ec2.root)
    assert layout.root.stat().st_mode & 0o7007 == 0
    for path in (layout.server_file, layout.server_lock, layout.start_lock):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_uid == os.geteuid()


@needs_root
def test_others_can_not_hold_its_lock(local_ec2: LocalEc2) -> None:
    lock = str(Layout(root=local_ec2.root).server_lock)
    assert as_other("flock", "--exclusive", "--nonblock", lock, "true").returncode != 0


# The API.


@needs_root
@pytest.mark.parametrize(
    "words",
    [
        ["-d", "Action=DescribeInstances&Version=2016-11-15"],
        ["-d", "Action=RunInstances", "-H", "Authorization: AWS4-HMAC-SHA256 Credential=ec2-local"],
        ["-X", "POST", "-H", "Host: s3.amazonaws.com"],
        ["-X", "PUT", "-H", "Host: bucket.s3.amazonaws.com"],
    ],
)  # fmt: skip
def test_others_are_refused_by_the_api(local_ec2: LocalEc2, words: list[str]) -> None:
    for page in ("", "_ec2/health", "_ec2/faults", "moto-api/reset", "moto-api/data.json", "bucket/key"):
        said = as_other("curl", "-s", "-w", "\n%{http_code}", *words, f"{local_ec2.endpoint.api_url}/{page}")
        text, _, code = said.stdout.rpartition("\n")
        assert code in ("401", "403"), said.stdout
        assert "ec2tasks local.up" in text


@pytest.mark.parametrize("service", ["ec2", "ssm", "s3", "iam", "sts", "dynamodb"])
@pytest.mark.parametrize(
    "keys", [("ec2-local", "ec2-local"), ("testing", "testing"), ("AKIAIOSFODNN7EXAMPLE", "x" * 40)]
)
def test_keys_of_nobody_are_refused(local_ec2: LocalEc2, service: str, keys: tuple[str, str]) -> None:
    url = local_ec2.endpoint.api_url
    client: Any = boto3.client(  # type: ignore[call-overload]
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
    )
    ask = {
        "ec2": "describe_instances",
        "ssm": "describe_parameters",
        "s3": "list_buckets",
        "iam": "list_users",
        "sts": "get_caller_identity",
        "dynamodb": "list_tables",
    }
    with pytest.raises(ClientError, match=f"{keys[0]}`.*ec2tasks local.up"):
        getattr(client, ask[service])()


def test_its_own_keys_are_good_for_objects_with_odd_names(local_ec2: LocalEc2) -> None:
    s3, bucket = local_ec2.client("s3", "us-east-1"), f"bucket-{os.getpid()}"
    s3.create_bucket(Bucket=bucket)
    for name in ("a b/ü&=+%?#'", "a//b/../c", "~x"):
        s3.put_object(Bucket=bucket, Key=name, Body=io.BytesIO(b"x" * 100_000))
        assert len(s3.get_object(Bucket=bucket, Key=name)["Body"].read()) == 100_000
    assert len(s3.list_objects_v2(Bucket=bucket, Prefix="a")["Contents"]) == 2


def test_an_instance_without_a_role_gets_nothing(local_ec2: LocalEc2, shared_instance: str) -> None:
    for words in ("-d Action=DescribeInstances", "-H 'Authorization: Bearer x' -X POST"):
        for page in ("", "/moto-api/reset", "/_ec2/faults"):
            code = f"curl -s -o /dev/null -w '%{{http_code}}' {words} $AWS_ENDPOINT_URL{page}"
            assert local_ec2.output(shared_instance, code) in ("401", "403")


OWN_SCOPE = "ec2-local/20260101/eu-central-1/ec2/aws4_request"
OWN = f"AWS4-HMAC-SHA256 Credential={OWN_SCOPE}, SignedHeaders=host, Signature=0"
scopes = st.one_of(st.text(), st.just(OWN_SCOPE))
headers = st.one_of(
    st.text(),
    st.builds(
        "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format,
        scopes,
        st.sampled_from(
            ["host", "host;x-amz-date", "", ";", "x-amz-content-sha256;host", "content-length;host"]
        ),
        st.text(),
    ),
)


@given(
    header=headers,
    target=st.text(),
    length=st.one_of(st.text(), st.integers().map(str)),
    body=st.binary(),
    date=st.text(),
)
@example(header=OWN, target="//[", length="", body=b"", date="")
@example(header=OWN, target="/", length="9" * 5000, body=b"", date="")
def test_no_made_up_signature_is_a_signature(
    header: str, target: str, length: str, body: bytes, date: str
) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": target,
        "HTTP_AUTHORIZATION": header,
        "HTTP_X_AMZ_DATE": date,
        "CONTENT_LENGTH": length,
        "wsgi.input": io.BytesIO(body),
    }
    assert signature.refusal(environ, "ec2", {"ec2-local": "secret"}.get) is not None


# SSH.


@needs_root
def test_others_do_not_get_to_an_instances_sshd(local_ec2: LocalEc2, shared_instance: str) -> None:
    address = local_ec2.describe(shared_instance)["PublicIpAddress"]
    code = "import socket, sys\nprint(socket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(3))"
    argv = ["/usr/bin/python3", "-c", code, address, str(local_ec2.endpoint.ssh_port)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "b'SSH'\n"
    said = as_other(*argv)
    assert said.stdout in ("", "b''\n")
    assert said.stdout or "ConnectionResetError" in said.stderr


@contextmanager
def accepted(opened_by: list[str]) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A connection that a command opened, and the command."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\ninput()"
        argv = [*opened_by, "/usr/bin/python3", "-c", code, str(server.getsockname()[1])]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd="/") as process:
            client, _ = server.accept()
            with client:
                yield client, process
            process.kill()


def test_the_kernel_says_who_opened_a_connection() -> None:
    with accepted([]) as (client, process):
        assert peer.user_of(client) == os.geteuid()
        assert peer.is_own(client)
        process.kill()
        # A closed socket is nobody's, though the kernel writes root's number.
        until(lambda: peer.user_of(client) is None, "the connection's end")
        assert not peer.is_own(client)


@needs_root
@pytest.mark.parametrize("inside", [[], ["unshare", "--user", "--map-root-user"]])
def test_another_user_is_another_user_also_as_root_of_a_namespace(inside: list[str]) -> None:
    other = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--", *inside]
    with accepted(other) as (client, _):
        assert peer.user_of(client) == OTHER
        assert not peer.is_own(client)


# The folder.


@needs_root
def test_a_folder_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    server = {"pid": os.getpid(), "port": 1, "url": "http://127.0.0.1:1", "ssh_port": 1, "secret_key": "x"}
    (folder / "server.json").write_text(json.dumps(server))
    (folder / "server.lock").write_text(f"{os.getpid()}\n")
    os.chown(folder, OTHER, OTHER)
    monkeypatch.setenv("EC2_LOCAL_DIR", str(folder))
    for ask in (control.up, control.down, control.status, control.running, lambda: control.set_faults({})):
        with pytest.raises(
            Failure, match=rf"`{folder}` belongs to another user of this machine \(uid {OTHER}\)"
        ):
            ask()


def test_a_folder_with_other_files_is_neither_taken_nor_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis.tex").touch()
    before = tmp_path.stat().st_mode
    monkeypatch.setenv("EC2_LOCAL_DIR", str(tmp_path))
    for ask in (control.up, lambda: control.set_faults({})):
        with pytest.raises(Failure, match="holds other files"):
            ask()
    assert tmp_path.stat().st_mode == before


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for _ in range(2):
        folder.chmod(0o777)
        make_private(Layout(root=folder), 64077)
        assert folder.stat().st_mode & 0o7027 == 0


@given(homes=st.lists(st.text("abc/-_. %", min_size=1), unique=True))
def test_each_home_of_root_has_a_folder_of_its_own(homes: list[str]) -> None:
    folders = {state_folder({"HOME": f"/{home}"}, 0) for home in homes}
    assert len(folders) == len({Path(f"/{home}") for home in homes})
    assert all(folder.parent == Path("/var/lib/ec2tasks") for folder in folders)


@pytest.mark.slow
@needs_root
def test_the_end_of_one_home_is_not_that_of_another(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EC2_LOCAL_DIR")
    folders = []
    try:
        for name in ("one", "two"):
            monkeypatch.setenv("HOME", str(tmp_path / name))
            folders.append(this_layout().root)
            control.up()
        assert control.down()
        assert control.status() is None
        monkeypatch.setenv("HOME", str(tmp_path / "one"))
        assert control.status() is not None
    finally:
        for name in ("one", "two"):
            argv = [sys.executable, "-m", "ec2tasks", "local.down"]
            environ = {**os.environ, "HOME": str(tmp_path / name)}
            subprocess.run(argv, env=environ, check=False, capture_output=True)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
