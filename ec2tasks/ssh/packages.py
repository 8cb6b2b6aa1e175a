"""What an image may lack and a run needs: looked for after a boot, and installed where it is missing."""

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


def look_command(tools: Sequence[str]) -> str:
    """A command that prints those of these tools that are missing, then the installers there are."""
    words = " ".join(shlex.quote(one) for one in tools)
    known = " ".join(name for name, _ in INSTALLERS)
    return (
        f'for one in {words}; do command -v "$one" >/dev/null || echo "missing $one"; done; '
        f'for one in {known}; do command -v "$one" >/dev/null && echo "installer $one"; done; true'
    )


def install_command(missing: Sequence[str], installers: Sequence[str]) -> str | None:
    """The command that installs the packages of these tools, None where no installer is known."""
    packages = " ".join(sorted({NEEDED.get(one, one) for one in missing}))
    return next((f"{command} {packages}" for name, command in INSTALLERS if name in installers), None)


def prepare(host: Host, more: Sequence[str] = ()) -> None:
    """Install what the image lacks of what a run needs, and `more`. Raises Failure naming what it can't."""
    with open_fabric(host) as there:
        said = there.run(look_command([*NEEDED, *more]), hide=True, in_stream=False).stdout.split("\n")
        missing = [line.split()[1] for line in said if line.startswith("missing ")]
        if not missing:
            return
        command = install_command(
            missing, [line.split()[1] for line in said if line.startswith("installer ")]
        )
        output.step(f"installing {', '.join(missing)} on the instance")
        done = there.run(command, hide=True, warn=True, in_stream=False) if command else None
    if done is None or done.failed:
        reason = done.stderr.strip().splitlines()[-1:] if done else ["no package manager is known there"]
        raise Failure(
            f"{', '.join(missing)} could not be installed on {host.instance_id}: {''.join(reason)}",
            hint="choose an image that has them, or install them in user_data",
        )
