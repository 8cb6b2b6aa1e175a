"""The way to an instance over SSH: one description that gives ssh, rsync and Fabric the same one.

OpenSSH carries the run itself: one control connection (ControlMaster of ssh_config(5),
https://man.openbsd.org/ssh_config) serves rsync and the command, and outlives the call for a while, so
that the next one needs no handshake. Fabric's Connection is for short commands and people's own tasks.
"""

from __future__ import annotations

import base64
import contextlib
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, warn_if_denied
from ec2tasks.aws.instances import UP, Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import PKey

KEPT_SECONDS = 600  # how long an unused control connection stays open
BOOT_LIMIT = 300.0  # seconds from `running` until SSH must answer
KEY_PATIENCE = 60.0  # seconds that cloud-init may take to install the key once SSH answers
SILENCE_LIMIT = 20.0  # seconds without an answer before the security group is looked at
ATTEMPT_LIMIT = 15.0  # seconds for one attempt
CONSOLE_KEYS = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(?P<keys>.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """How to reach an instance: everything that ssh, rsync and Fabric need to know.

    `only_these`: no keys but the `identities`, and the agent's that `public_key` names. sshd takes six at
    most, and an agent may hold more that are none of ours.
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

    @property
    def login(self) -> str:
        """USER@ADDRESS."""
        return f"{self.user}@{self.address}"


def ssh_options(host: Host) -> list[str]:
    """The options of every ssh to this host. Its key is looked up by instance id and must be pinned."""
    options = {
        "BatchMode": "yes",
        "CheckHostIP": "no",
        "ConnectTimeout": "10",
        "ControlPath": _quoted(f"{host.sockets}/%C-{host.instance_id[-6:]}"),
        "HostKeyAlias": host.instance_id,
        "LogLevel": "ERROR",
        "Port": str(host.port),
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "5",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _quoted(str(host.known_hosts)),
    }
    if host.only_these:
        options["IdentitiesOnly"] = "yes"
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    # -F none: the user's own ssh_config may send the connection elsewhere, and would differ for Fabric.
    named = (*([host.public_key] if host.public_key else []), *host.identities)
    return ["-F", "none", *words, *(word for path in named for word in ("-i", str(path)))]


def _quoted(path: str) -> str:
    """A path as ssh_config takes it when it holds spaces."""
    return f'"{path}"' if " " in path else path


def ssh_argv(host: Host, *words: str, options: Sequence[str] = ()) -> list[str]:
    """An ssh that runs these words there, each arriving as it is.

    The options come first: ssh takes the first value of each.
    """
    return ["ssh", *options, *ssh_options(host), host.login, *([shlex.join(words)] if words else [])]


def rsync_shell(host: Host) -> str:
    """The value of rsync's -e. Rsync splits it at spaces and knows both kinds of quotes."""
    return " ".join(_for_rsync(word) for word in ["ssh", *ssh_options(host)])


def _for_rsync(word: str) -> str:
    if not re.search(r"[\s'\"]", word):
        return word
    return '"' + word.replace('"', '""') + '"'


def master_argv(host: Host, *, strict: bool) -> list[str]:
    """The control connection: opened once, left in the background."""
    checking = [] if strict else ["-o", "StrictHostKeyChecking=accept-new"]
    kept = ["-o", "ControlMaster=auto", "-o", f"ControlPersist={KEPT_SECONDS}"]
    # The first value of an option counts, so these stand before the host's own.
    return ["ssh", *checking, *kept, *ssh_options(host), "-f", "-N", host.login]


def is_connected(host: Host, tools: Tools) -> bool:
    """Whether the control connection of an earlier call is still open."""
    checked = tools.capture(["ssh", *ssh_options(host), "-O", "check", host.login], timeout=5)
    return checked.returncode == 0


def open_master(host: Host, tools: Tools, *, strict: bool = True) -> str | None:
    """Open the control connection, or find it open. What ssh says where it can't, None where it can."""
    if is_connected(host, tools):
        return None
    with (host.sockets / f"said-{host.instance_id}").open("w+b") as said:
        # Not a pipe: the connection stays in the background and would keep a pipe open for ever.
        with tools.start(
            master_argv(host, strict=strict),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        ) as opening:
            try:
                code = opening.wait(timeout=ATTEMPT_LIMIT)
            except subprocess.TimeoutExpired:
                opening.kill()
                return "timed out"
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    return None if code == 0 else text or f"ssh ended with {code}"


def close_master(host: Host, tools: Tools) -> None:
    """Close the control connection: it carries nothing any more, or the instance has ended."""
    tools.capture(["ssh", *ssh_options(host), "-O", "exit", host.login], timeout=5)


def is_pinned(host: Host) -> bool:
    """Whether a host key of this instance is known here."""
    try:
        lines = host.known_hosts.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(line.split(" ", 1)[0] == host.instance_id for line in lines)


def console_keys(console: str) -> list[str]:
    """The host keys that cloud-init prints on the console, as `TYPE KEY`."""
    found = CONSOLE_KEYS.search(console)
    lines = found["keys"].splitlines() if found else []
    keys = (re.search(r"((?:ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+)", line) for line in lines)
    return [key[1] for key in keys if key]


def pin_from_console(aws: Aws, host: Host) -> bool:
    """Pin the host keys that AWS itself shows on the instance's console. False where it shows none (yet)."""
    keys = console_keys(console(aws, host.instance_id, instead="the host key is taken at first sight"))
    if keys:
        with host.known_hosts.open("a", encoding="utf-8") as file:
            file.writelines(f"{host.instance_id} {key}\n" for key in keys)
    return bool(keys)


def console(aws: Aws, instance_id: str, *, instead: str) -> str:
    """What an instance has said on its console; empty where AWS does not show it.

    `instead` is how the work goes on without it, said where the right to ask is missing.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html
    """
    try:
        said = aws.ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")
    except Exception as error:
        # Types that are not built on Nitro refuse `Latest`.
        refused = error_code(error) in ("UnsupportedOperation", "InvalidParameterCombination")
        if not refused and not warn_if_denied(error, instead):
            raise
        return ""
    return _plain(said)


def _plain(output: str) -> str:
    """The console's text; boto3 decodes AWS's base64 itself, but not that of every server like it."""
    if "SSH HOST KEY" in output:
        return output
    try:
        return base64.b64decode(output, validate=True).decode(errors="replace")
    except ValueError:
        return output


def forget(host: Host, tools: Tools) -> None:
    """Close the connection to a terminated instance and drop its pinned keys."""
    close_master(host, tools)
    if is_pinned(host):
        tools.capture(["ssh-keygen", "-q", "-R", host.instance_id, "-f", str(host.known_hosts)], timeout=10)


def wait_ready(
    host: Host,
    aws: Aws,
    tools: Tools,
    *,
    watch: Callable[[], Instance | None],
    admit: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Knock each second until the control connection stands.

    Raises Failure with ssh's own last words where the key is refused, the host key is another than the
    pinned one, the instance ends meanwhile, or nothing answers in time.
    """
    began, answered, looked = clock(), None, False
    while True:
        strict = is_pinned(host) or pin_from_console(aws, host)
        said = open_master(host, tools, strict=strict)
        if said is None:
            return
        if "too long for Unix domain socket" in said:
            raise Failure(said, hint="set XDG_RUNTIME_DIR to a folder with a shorter path")
        if "REMOTE HOST IDENTIFICATION" in said or "Host key verification failed" in said:
            raise _wrong_host_key(host)
        if "Permission denied" in said or "Too many authentication" in said:
            answered = answered or clock()
            if clock() - answered > KEY_PATIENCE:
                raise _refused(host, said)
        elif not looked and "timed out" in said and clock() - began > SILENCE_LIMIT:
            looked = True
            if admit():
                output.step("this machine's address changed: port 22 is opened to the new one")
        if clock() - began > BOOT_LIMIT:
            raise _silent(host, said)
        _check_alive(watch(), host)
        sleep(1)


def _check_alive(instance: Instance | None, host: Host) -> None:
    if instance is None or instance.state not in UP:
        state = instance.state if instance else "gone"
        reason = f": {instance.reason}" if instance and instance.reason else ""
        raise Failure(f"instance {host.instance_id} is {state} before SSH answered{reason}", hint="try again")


def _wrong_host_key(host: Host) -> Failure:
    return Failure(
        f"{host.address} does not show the host key pinned for {host.instance_id}: someone may be in between",
        hint=(
            f"`aws ec2 get-console-output --latest --instance-id {host.instance_id}` shows the true one;"
            f" where you trust it: ssh-keygen -R {host.instance_id} -f {host.known_hosts}"
        ),
    )


def _refused(host: Host, said: str) -> Failure:
    keys = ", ".join(str(path) for path in host.identities) or "none found in ~/.ssh, none in the agent"
    return Failure(
        f"{host.login} refuses the keys of this machine ({keys}): {said.splitlines()[-1]}",
        hint="-i FILE names the private key, and keeps the agent's out of the way; --key-name another key"
        " pair; user: the login user of the image",
    )


def _silent(host: Host, said: str) -> Failure:
    last = said.splitlines()[-1]
    return Failure(
        f"SSH at {host.address} port {host.port} did not answer for {BOOT_LIMIT:.0f} s: {last}",
        hint="its security group must let this address in; `ec2tasks status` shows the instance",
    )


@contextlib.contextmanager
def connected(host: Host) -> Iterator[Connection]:
    """An open Fabric Connection. Raises Failure where it can't be opened, or breaks."""
    from paramiko.ssh_exception import SSHException

    try:
        with connection(host) as found:
            yield found
    except (SSHException, OSError, EOFError) as error:
        raise Failure(
            f"the connection to {host.login} failed: {' '.join(str(error).split()) or type(error).__name__}",
            hint="try again; `ec2tasks status` shows the instance",
        ) from error


def connection(host: Host) -> Connection:
    """A Fabric Connection to the same host with the same keys, which accepts no key but the pinned ones."""
    from fabric import Config, Connection
    from paramiko import RejectPolicy
    from paramiko.hostkeys import HostKeys

    pinned = HostKeys(str(host.known_hosts))
    found = Connection(
        host=host.address,
        user=host.user,
        port=host.port,
        connect_timeout=10,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        connect_kwargs={
            "key_filename": [str(path) for path in host.identities],
            "allow_agent": not host.only_these,
            "look_for_keys": False,
            "pkey": _agent_key(host.public_key) if host.public_key else None,
        },
    )
    found.client.set_missing_host_key_policy(RejectPolicy())
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    for kind, key in (pinned.lookup(host.instance_id) or {}).items():
        found.client.get_host_keys().add(name, kind, key)
    return found


def _agent_key(public: Path) -> PKey | None:
    """The key of the ssh agent with this public half; None where it has none such, or there is no agent."""
    from paramiko.agent import Agent
    from paramiko.ssh_exception import SSHException

    body = public.read_text(encoding="utf-8").split()[1]
    try:
        return next((key for key in Agent().get_keys() if key.get_base64() == body), None)
    except SSHException:
        return None
