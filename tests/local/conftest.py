from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.keys import make_key
from support.local_ec2 import KEY_NAME, LocalEc2, start_local_ec2

from ec2tasks.local import control


@pytest.fixture(scope="session")
def session_local_ec2(tested_local_folder: Path) -> LocalEc2:
    endpoint = start_local_ec2(tested_local_folder)
    key = tested_local_folder / "key"
    local_ec2 = LocalEc2(endpoint=endpoint, key=key, root=tested_local_folder)
    local_ec2.ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=make_key(key).encode())
    return local_ec2


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
