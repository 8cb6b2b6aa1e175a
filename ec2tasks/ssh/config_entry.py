"""An instance as an entry of an ssh_config, for the user's own ssh and for editors. Pure.

What stands in it comes from AWS and from a project's files: each value has a form of its own, in which it
can't become another option. https://man.openbsd.org/ssh_config
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from ec2tasks.base.errors import UsageError
from ec2tasks.ssh.host import Host, proxy_command

PREFIX = "ec2-"
ALIVE_SECONDS, ALIVE_COUNT = 15, 3  # together as long as the instance's sshd waits for a silent client
# OpenSSH 9.6 takes no login, and no name of a host, that a shell would read as more than a word.
LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}")
INSTANCE_ID = re.compile(r"i-[0-9a-f]{1,32}")
# No version of ssh has a way to write all of these: a quote within quotes, a variable's beginning.
PATH = re.compile(r'/(?:[^"\\$\x00-\x1f\x7f]|\$(?!\{))*')
PROGRAM = re.compile(r"[^\x00-\x1f\x7f]+")
UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def alias_of(name: str, *, apart: str = "") -> str:
    """What ssh calls the instance of this name; `apart` tells it from another called the same."""
    word = UNFIT.sub("-", name).strip("-.") or "instance"
    return f"{PREFIX}{word}-{apart}" if apart else f"{PREFIX}{word}"


def entry_text(alias: str, host: Host) -> str:
    """The entry by which `ssh ALIAS` reaches this host, its host key pinned, its keys alone offered.

    Raises UsageError for a value that can't stand in an ssh_config as it is.
    """
    known_hosts, user = _path(host.known_hosts), _fit("login", host.user, LOGIN)
    keys = [host.public_key] if host.public_key else []
    values = (
        ("HostName", _address(host.address)),
        ("Port", str(host.port)),
        ("User", user),
        ("HostKeyAlias", _fit("instance id", host.instance_id, INSTANCE_ID)),
        ("CheckHostIP", "no"),
        ("StrictHostKeyChecking", "yes"),
        ("UserKnownHostsFile", known_hosts),
        *(("IdentityFile", _path(key)) for key in (*keys, *host.identities)),
        *([("IdentitiesOnly", "yes")] if host.only_these else []),
        # The instance is not trusted with what the user's other entries may give to every host.
        ("ForwardAgent", "no"),
        ("ForwardX11", "no"),
        ("ServerAliveInterval", str(ALIVE_SECONDS)),
        ("ServerAliveCountMax", str(ALIVE_COUNT)),
        # `none`: a ProxyJump that the user has for every host would lead elsewhere than ec2tasks goes.
        ("ProxyCommand", _fit("way in", proxy_command(host), PROGRAM) if host.proxy else "none"),
    )
    return "".join([f"Host {alias}\n", *(f"    {name} {value}\n" for name, value in values)])


def include_line(path: object) -> str:
    """The line of ~/.ssh/config that includes this file. Raises UsageError where it has no form there."""
    text = str(path)
    if re.search(r"[*?\[\]{}~%]", text):
        raise _unfit("path", text)
    return f"Include {_path(text, escape=str)}"


def _path(path: object, *, escape: Callable[[str], str] = lambda text: text.replace("%", "%%")) -> str:
    """A path as ssh_config takes it: in quotes where it holds what would end it."""
    text = escape(_fit("path", str(path), PATH))
    return text if re.fullmatch(r"[\w/.,:@%+$-]+", text, re.ASCII) else f'"{text}"'


def _address(value: str) -> str:
    """An IP address as AWS tells it; one with a zone (`%eth0`) would be read as more than that."""
    try:
        return str(ipaddress.ip_address(_fit("address", value, re.compile(r"[0-9A-Fa-f:.]+"))))
    except ValueError as error:
        raise _unfit("address", value) from error


def _fit(what: str, value: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value):
        raise _unfit(what, value)
    return value


def _unfit(what: str, value: str) -> UsageError:
    other = "a path without quotes and the like: -i names another key, XDG_STATE_HOME another folder"
    hints = {"path": other, "login": "user: NAME in ec2.yaml"}
    return UsageError(f"the {what} `{value}` can't stand in an ssh_config", hint=hints.get(what))
