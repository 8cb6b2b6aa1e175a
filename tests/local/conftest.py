from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_ec2 import KEY_NAME, LocalEc2

from ec2tasks.local import control


@pytest.fixture(scope="session")
def state_root() -> Iterator[Path]:
    """A folder of this session's own, short and open to the instances' user."""
    root = Path(tempfile.mkdtemp(prefix="ec2l-", dir="/tmp"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def session_local_ec2(state_root: Path) -> Iterator[LocalEc2]:
    folder = state_root / "shared"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        endpoint = control.up()
    key = state_root / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    local_ec2 = LocalEc2(endpoint=endpoint, key=key, root=folder)
    local_ec2.ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    yield local_ec2
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        assert control.down()


@pytest.fixture
def local_ec2(session_local_ec2: LocalEc2, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEc2]:
    """The session's local EC2 without faults, and without this test's instances afterwards."""
    monkeypatch.setenv("EC2_LOCAL_DIR", str(session_local_ec2.root))
    before = {instance.id for instance in (control.status() or pytest.fail("no server")).instances}
    yield session_local_ec2
    control.set_faults(None)
    status = control.status()
    for instance in status.instances if status else ():
        if instance.id not in before:
            session_local_ec2.client("ec2", instance.region).terminate_instances(InstanceIds=[instance.id])


@pytest.fixture(scope="session")
def shared_instance(session_local_ec2: LocalEc2) -> str:
    """One running instance for all tests that only look."""
    return session_local_ec2.launch(UserData="#!/bin/sh\necho first boot\necho ran >> $HOME/user-data-ran\n")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder with no server; one that a test starts is ended."""
    root = Path(tempfile.mkdtemp(prefix="ec2l-", dir="/tmp"))
    root.chmod(0o755)
    folder = root / "own"
    monkeypatch.setenv("EC2_LOCAL_DIR", str(folder))
    yield folder

    control.down()
    shutil.rmtree(root, ignore_errors=True)
