"""How to reach an instance over SSH: one description that gives ssh, rsync and Fabric the same options.

https://man.openbsd.org/ssh_config
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ec2tasks.base.dataclass import dataclass

CONNECT_SECONDS = 10  # that each step of a connection may take
KEPT_SECONDS = 600  # how long an unused control connection stays open


@dataclass(frozen=True, kw_only=True)
class Host:
    """How to reach an instance: everything that ssh, rsync and Fabric need to know.

    `only_these`: no keys but the `identities`, and the agent's that `public_key` names. sshd takes six at
    most, and an agent may hold more that are none of ours. `console_first`: no host key counts but one that
    AWS's console has shown. `proxy`: the program that connects, where ssh does not itself.
    """

    instance_id: str
    address: str
    port: int
    user: str
    identities: tuple[Path, ...]
    only_these: bool
    known_hosts: Path
    sockets: Path
    public_key: Path | None = None
    console_first: bool = False
    proxy: tuple[str, ...] = ()

    @property
    def login(self) -> str:
        """The login as ssh takes it: USER@ADDRESS."""
        return f"{self.user}@{self.address}"

    @property
    def way_log(self) -> Path:
        """Where the program that connects writes what goes wrong."""
        return self.sockets / f"way-{self.instance_id}"


def ssh_options(host: Host) -> list[str]:
    """The options of every ssh to this host; its host key is looked up by instance id and must be pinned."""
    options = {
        "BatchMode": "yes",
        "CheckHostIP": "no",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ControlPath": _quoted(f"{host.sockets}/%C-{host.instance_id[-6:]}"),
        "HostKeyAlias": host.instance_id,
        "LogLevel": "ERROR",
        "Port": str(host.port),
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "5",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _quoted(str(host.known_hosts)),
    }
    if host.proxy:
        options["ProxyCommand"] = proxy_command(host)
    if host.only_these:
        options["IdentitiesOnly"] = "yes"
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    # -F none: the user's own ssh_config may send the connection elsewhere, and would differ for Fabric.
    named = (*([host.public_key] if host.public_key else []), *host.identities)
    return ["-F", "none", *words, *(word for path in named for word in ("-i", str(path)))]


def proxy_command(host: Host, *, log: Path | None = None) -> str:
    """The program that connects, as ssh has a shell run it; what it says goes to `log` where there is one."""
    said = f" 2>{shlex.quote(str(log))}" if log else ""
    return f"{shlex.join(host.proxy)}{said}".replace("%", "%%")


def _quoted(path: str) -> str:
    """A path as ssh_config takes it when it holds spaces."""
    return f'"{path}"' if " " in path else path


def ssh_argv(host: Host, *words: str, options: Sequence[str] = ()) -> list[str]:
    """The ssh command line that runs these words on the instance, each arriving as it is.

    `options` come before the host's own: ssh takes the first value of each.
    """
    return ["ssh", *options, *ssh_options(host), host.login, *([shlex.join(words)] if words else [])]


def rsync_shell(host: Host) -> str:
    """The ssh command line as the value of rsync's -e, which rsync splits at spaces, knowing both quotes.

    https://download.samba.org/pub/rsync/rsync.1#opt--rsh
    """
    return " ".join(_for_rsync(word) for word in ["ssh", *ssh_options(host)])


def _for_rsync(word: str) -> str:
    if not re.search(r"[\s'\"]", word):
        return word
    return '"' + word.replace('"', '""') + '"'


def master_argv(host: Host, *, strict: bool) -> list[str]:
    """The ssh command line that opens the control connection and leaves it in the background.

    Without `strict`, a host key that is not pinned is accepted and pinned.
    """
    checking = [] if strict else ["-o", "StrictHostKeyChecking=accept-new"]
    # ssh itself would drop what the program says that connects, for a connection that is kept.
    way = ["-o", f"ProxyCommand={proxy_command(host, log=host.way_log)}"] if host.proxy else []
    kept = ["-o", "ControlMaster=auto", "-o", f"ControlPersist={KEPT_SECONDS}"]
    # The first value of an option counts, so these stand before the host's own.
    return ["ssh", *checking, *way, *kept, *ssh_options(host), "-f", "-N", host.login]
