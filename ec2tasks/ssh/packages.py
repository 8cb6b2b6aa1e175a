"""The packages that a run needs on the instance: looked for after a boot, installed where missing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Answer, Tools
from ec2tasks.base.waiting import waiting
from ec2tasks.ssh.host import Host, ssh_argv

PROBING = Limits(seconds=60.0)
INSTALLING = Limits(seconds=1800.0)
UNKNOWN = "no package manager is known there"
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


def install_missing(host: Host, tools: Tools, more: Sequence[str] = ()) -> None:
    """Install the tools that a run needs, and `more`, where the image lacks them.

    Raises Failure naming those that can't be installed.
    """
    asked = (*NEEDED, *more)
    with waiting("the look at what the instance lacks"):
        probe = tools.capture(shell_argv(host, probe_command(asked)), limits=PROBING).within_limits()
    if probe.returncode != 0:
        raise _not_asked(host, probe)
    said = {tuple(line.split()) for line in probe.stdout.decode(errors="replace").splitlines()}
    missing = [tool for tool in asked if ("missing", tool) in said]
    if not missing:
        return
    known = [name for name, _ in INSTALLERS if ("installer", name) in said]
    command = install_command(missing, known)
    output.step(f"installing {', '.join(missing)} on the instance")
    with waiting("the packages to be installed"):
        installed = tools.capture(shell_argv(host, command), limits=INSTALLING) if command else None
    if installed is None or installed.returncode != 0:
        words = (
            installed.stderr.decode(errors="replace").strip().splitlines()[-1:] if installed else [UNKNOWN]
        )
        raise Failure(
            f"{', '.join(missing)} could not be installed on {host.instance_id}: {''.join(words)}",
            hint="choose an image that has them, or install them in user_data",
        )


def shell_argv(host: Host, command: str) -> list[str]:
    """An ssh that runs a shell command on the instance."""
    return ssh_argv(host, "sh", "-c", command, options=("-T",))


def _not_asked(host: Host, probe: Answer) -> Failure:
    words = probe.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
        f"ssh ended with {probe.returncode}"
    ]
    return Failure(
        f"{host.instance_id} does not tell which tools it has: {words[0]}",
        hint="try again; `ec2tasks status` shows the instance",
    )
