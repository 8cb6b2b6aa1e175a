"""The packages that a run needs on the instance: looked for after a boot, installed where missing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.ssh.connect import open_fabric
from ec2tasks.ssh.host import Host

NEEDED = {"rsync": "rsync", "make": "make", "flock": "util-linux", "ps": "procps"}
# apt may be locked by unattended upgrades for some minutes after a first boot.
INSTALLERS = (
    (
        "apt-get",
        "sudo -n apt-get -o DPkg::Lock::Timeout=300 update -qq && "
        "sudo -n DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq",
    ),
    ("dnf", "sudo -n dnf install -y -q"),
    ("yum", "sudo -n yum install -y -q"),
)


def probe_command(tools: Sequence[str]) -> str:
    """A shell command that prints which of these tools are missing, then which package managers exist."""
    words = " ".join(shlex.quote(tool) for tool in tools)
    known = " ".join(name for name, _ in INSTALLERS)
    return (
        f'for tool in {words}; do command -v "$tool" >/dev/null || echo "missing $tool"; done; '
        f'for tool in {known}; do command -v "$tool" >/dev/null && echo "installer $tool"; done; true'
    )


def install_command(missing: Sequence[str], installers: Sequence[str]) -> str | None:
    """The shell command that installs the packages of these tools; None where no package manager is known."""
    packages = " ".join(sorted({NEEDED.get(tool, tool) for tool in missing}))
    return next((f"{command} {packages}" for name, command in INSTALLERS if name in installers), None)


def install_missing(host: Host, more: Sequence[str] = ()) -> None:
    """Install the tools that a run needs, and `more`, where the image lacks them.

    Raises Failure naming those that can't be installed.
    """
    with open_fabric(host) as connection:
        answer = connection.run(probe_command([*NEEDED, *more]), hide=True, in_stream=False)
        lines = [line.split() for line in answer.stdout.splitlines()]
        missing = [line[1] for line in lines if line[:1] == ["missing"]]
        if not missing:
            return
        command = install_command(missing, [line[1] for line in lines if line[:1] == ["installer"]])
        output.step(f"installing {', '.join(missing)} on the instance")
        installed = connection.run(command, hide=True, warn=True, in_stream=False) if command else None
    if installed is None or installed.failed:
        reason = (
            installed.stderr.strip().splitlines()[-1:] if installed else ["no package manager is known there"]
        )
        raise Failure(
            f"{', '.join(missing)} could not be installed on {host.instance_id}: {''.join(reason)}",
            hint="choose an image that has them, or install them in user_data",
        )
