from __future__ import annotations

import subprocess

import pytest

from ec2tasks.ssh.packages import NEEDED, install_command, probe_command


def test_what_is_missing_is_found() -> None:
    result = subprocess.run(
        ["bash", "-c", probe_command(["sh", "nosuchtool"])], capture_output=True, text=True, check=True
    )
    assert "missing nosuchtool" in result.stdout
    assert "missing sh\n" not in result.stdout


@pytest.mark.parametrize(
    ("installers", "starts"), [(["apt-get", "dnf"], "sudo -n apt-get"), (["yum"], "sudo -n yum"), ([], None)]
)
def test_the_command_that_installs_it(installers: list[str], starts: str | None) -> None:
    command = install_command(["flock", "rsync"], installers)
    if starts is None:
        assert command is None
    else:
        assert command
        assert command.startswith(starts)
        assert command.endswith(" rsync util-linux")


def test_every_needed_tool_has_a_package() -> None:
    assert all(NEEDED.values())
