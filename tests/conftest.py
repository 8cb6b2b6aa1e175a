"""What every test stands on: a home of its own, no way to AWS, a scratch project, the local EC2."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from support.background import BACKGROUND
from support.environment import OURS, clean_environment
from support.local_ec2 import api, local_ec2_folder, start_local_ec2
from support.project import ScratchProject
from support.terminal import Terminal

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import list_instances
from ec2tasks.local.layout import Layout

# The machine is shared: no time that a test takes says anything.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.load_profile("default")

# A test that uses one of these, by whatever other fixture, starts a local EC2.
LOCAL_EC2 = {"local_folder", "tested_local_folder", "module_local_folder", "new_local_folder"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the local EC2: `pytest -m "not local_ec2 and not slow"` runs the others."""
    for item in items:
        if LOCAL_EC2 & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.local_ec2)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home of the test's own, and none of the machine's settings."""
    home = tmp_path / "home"
    home.mkdir()
    closed = home / "for-a-local-EC2-ask-for-the-fixture-local_project"
    closed.touch()  # a file: no local EC2 can start in it
    wanted = {**clean_environment(home), "EC2_LOCAL_DIR": str(closed)}
    for name in set(os.environ) - set(wanted):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI", raising=False)  # where it is set, no terminal is written over
    return wanted


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """What a test that failed left in the background does not trouble the next one."""
    yield
    while BACKGROUND:
        process = BACKGROUND.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


class CalledTheInternetError(AssertionError):
    """A test tried to reach a machine other than this one."""


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this process reach this machine alone."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        host = str(address[0]) if isinstance(address, tuple) else ""
        outside = not host.startswith(("127.", "::1", "localhost"))
        if self.family in (socket.AF_INET, socket.AF_INET6) and outside:
            raise CalledTheInternetError(f"connect to {address}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def project(tmp_path: Path, environment: dict[str, str]) -> ScratchProject:
    """A scratch project that knows no endpoint."""
    root = tmp_path / "shop"
    root.mkdir()
    return ScratchProject(root=root, environ=dict(environment))


@pytest.fixture(scope="session")
def local_folder() -> Iterator[Path]:
    """The folder of the tests' own local EC2, ended with them."""
    with local_ec2_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def tested_local_folder() -> Iterator[Path]:
    """The folder of the local EC2 that is itself under test: nobody else's instances are in it."""
    with local_ec2_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def module_local_folder() -> Iterator[Path]:
    """The folder of a local EC2 of these tests' own, ended with them."""
    with local_ec2_folder() as folder:
        yield folder


@pytest.fixture
def new_local_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a local EC2 that only this test starts and uses; it ends with it."""
    with local_ec2_folder() as folder:
        monkeypatch.setenv("EC2_LOCAL_DIR", str(folder))
        yield folder


@pytest.fixture
def local_project(project: ScratchProject, local_folder: Path) -> Iterator[ScratchProject]:
    """A scratch project of a new user on the local EC2; what it launched ends with it, quickly."""
    user = f"user-{secrets.token_hex(4)}"
    project.environ |= {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(local_folder), "USER": user}
    yield project
    layout = Layout(root=local_folder)
    if layout.faults.exists():
        project.ec2tasks("local.faults", "--clear")
        layout.faults.unlink()
    if layout.server_file.exists():
        aws = api(local_folder)
        if left := [one.id for one in list_instances(aws, owner=user)]:
            aws.ec2.terminate_instances(InstanceIds=left)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, local_folder: Path) -> ScratchProject:
    """A project whose instance is up, for tests that leave it so."""
    base = tmp_path_factory.mktemp("user")
    root = base / "warm"
    root.mkdir()
    local = {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(local_folder), "AWS_FINAL_STATE": "leave", "USER": "warm"}
    found = ScratchProject(root=root, environ={**clean_environment(base), **local})
    up = found.ec2tasks("up")
    assert up.code == 0, up.err
    return found


@pytest.fixture(scope="session")
def aws(local_folder: Path) -> Aws:
    """The API of the tests' local EC2."""
    return Aws(endpoint=start_local_ec2(local_folder), region="eu-central-1")


@pytest.fixture
def terminal(warm: ScratchProject) -> Iterator[Terminal]:
    found = Terminal(warm)
    yield found
    found.end()
