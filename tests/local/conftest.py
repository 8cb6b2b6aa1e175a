from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2tasks.local import control

from .world import KEY_NAME, World


@pytest.fixture(scope="session")
def state_root() -> Iterator[Path]:
    """A folder of this session's own, short and open to the instances' user."""
    root = Path(tempfile.mkdtemp(prefix="ec2l-", dir="/tmp"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def session_world(state_root: Path) -> Iterator[World]:
    folder = state_root / "shared"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        endpoint = control.up()
    key = state_root / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    world = World(endpoint=endpoint, key=key, root=folder)
    world.ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    yield world
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EC2_LOCAL_DIR", str(folder))
        assert control.down()


@pytest.fixture
def world(session_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The session's local EC2 without faults, and without this test's instances afterwards."""
    monkeypatch.setenv("EC2_LOCAL_DIR", str(session_world.root))
    before = {instance.id for instance in (control.status() or pytest.fail("no server")).instances}
    yield session_world
    control.set_faults(None)
    status = control.status()
    for instance in status.instances if status else ():
        if instance.id not in before:
            session_world.client("ec2", instance.region).terminate_instances(InstanceIds=[instance.id])


@pytest.fixture(scope="session")
def shared_instance(session_world: World) -> str:
    """One running instance for all tests that only look."""
    return session_world.launch(UserData="#!/bin/sh\necho first boot\necho ran >> $HOME/user-data-ran\n")


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
