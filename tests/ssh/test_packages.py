from __future__ import annotations

import subprocess

import pytest

from ec2tasks.ssh.packages import NEEDED, install_command, probe_command


def test_what_is_missing_is_found() -> None:
    said = subprocess.run(
        ["bash", "-c", probe_command(["sh", "nosuchtool"])], capture_output=True, text=True, check=True
    )
    assert "missing nosuchtool" in said.stdout
    assert "missing sh\n" not in said.stdout


@pytest.mark.parametrize(
    ("installers", "starts"), [(["apt-get", "dnf"], "sudo -n apt-get"), (["yum"], "sudo -n yum"), ([], None)]
)
def test_the_command_that_installs_it(installers: list[str], starts: str | None) -> None:
    found = install_command(["flock", "rsync"], installers)
    if starts is None:
        assert found is None
    else:
        assert found
        assert found.startswith(starts)
        assert found.endswith(" rsync util-linux")


def test_every_needed_tool_has_a_package() -> None:
    assert all(NEEDED.values())
