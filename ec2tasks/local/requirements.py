"""What this machine needs before it can be a local EC2, checked before anything starts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure

# The program and the Debian package that brings it.
PROGRAMS = {
    "bwrap": "bubblewrap",
    "slirp4netns": "slirp4netns",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "rsync": "rsync",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}

# Instances run as a user of their own even when root starts them: what an instance could break out to is
# nobody's. Debian keeps 60000 to 64999 for packages that ask for an id, and none has this one.
GUEST_ID = 64077

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def find_program(program: str) -> str | None:
    """The program's path; sshd lies in /usr/sbin, which a user's PATH may lack."""
    return shutil.which(program, path=SEARCH_PATH)


def missing_packages(which: Callable[[str], str | None] = find_program) -> list[str]:
    """The Debian packages whose programs are not here, each once."""
    return list(dict.fromkeys(package for program, package in PROGRAMS.items() if which(program) is None))


def as_guest_argv(uid: int) -> list[str]:
    """What to put before a command so that it runs as the instances' user."""
    if uid != 0:
        return []
    return ["setpriv", f"--reuid={GUEST_ID}", f"--regid={GUEST_ID}", "--clear-groups", "--"]


def sandbox_probe_argv(root: Path, uid: int) -> list[str]:
    """A sandbox that does nothing but see the state folder: fails where user namespaces are not allowed."""
    sandbox = [
        "bwrap",
        "--unshare-user",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--",
        "ls",
        "-d",
        f"{root}/.",
    ]
    return [*as_guest_argv(uid), *sandbox]


def check_programs() -> None:
    """Raise a Failure that names all that is missing: system, packages, Python packages."""
    if not sys.platform.startswith("linux"):
        raise Failure(
            f"the local EC2 needs Linux, and this is `{sys.platform}`",
            hint="use it in a Linux machine or container, or work with AWS itself",
        )
    if packages := missing_packages():
        names = " ".join(packages)
        raise Failure(
            f"the local EC2 needs packages that are not installed: `{names}`",
            hint=f"sudo apt-get install -y {names}",
        )
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise Failure(
            "the local EC2 needs moto, which is not installed", hint="pip install 'ec2tasks[local]'"
        )


def warn_if_no_network(device: Path = Path("/dev/net/tun")) -> None:
    """Say that instances will reach no network nor each other, where this user may not open what it takes."""
    if os.access(device, os.R_OK | os.W_OK):
        return
    why, hint = "is closed to this user", f"sudo chmod 666 {device}"
    if not device.exists():
        why, hint = "is not there", "sudo modprobe tun; a container is started with `--device /dev/net/tun`"
    output.warning(f"instances will reach neither a network nor each other: `{device}` {why}", hint=hint)


def check_sandbox(root: Path, uid: int) -> None:
    """Raise a Failure if the instances' user can't make a sandbox that sees the state folder."""
    result = subprocess.run(sandbox_probe_argv(root, uid), capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return
    reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    if str(root) in reason:
        raise Failure(
            f"instances can't reach the folder `{root}`: {reason}",
            hint="EC2_LOCAL_DIR=/var/tmp/ec2-local, or any folder that all users may enter",
        )
    raise Failure(
        f"this machine allows no unprivileged user namespaces: {reason}",
        hint="sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=15000",
    )
