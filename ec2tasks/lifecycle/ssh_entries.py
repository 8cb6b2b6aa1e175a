"""The instances that run, as entries for the user's own ssh, in one file that ~/.ssh/config includes.

The file is there once the user has asked for it. A line before each entry says whose it is: the instance's
key among all that this machine knows, and that of all of this user's in its region.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.state import State, lock, write_atomically
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.ssh.config_entry import alias_of, entry_text
from ec2tasks.ssh.host import Host

HEAD = "# Written by ec2tasks for each instance that runs: `ec2tasks ssh-config --remove` takes it away.\n"
MARK = re.compile(r"^# ec2tasks (?P<key>[0-9a-f]+) (?P<scope>[0-9a-f]+)\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the file: whose it is, what ssh calls it, its instance's id, its text."""

    scope: str
    text: str

    @property
    def alias(self) -> str:
        """What ssh calls the instance."""
        return self._word("Host")

    @property
    def instance_id(self) -> str:
        """The instance's id, as its host key is pinned by."""
        return self._word("HostKeyAlias")

    def _word(self, name: str) -> str:
        found = re.search(rf"^ *{name} (\S+)$", self.text, re.MULTILINE)
        return found[1] if found else ""


def read_entries(state: State) -> dict[str, Entry]:
    """The entries by their instances' keys, in the file's order; none where it is not there."""
    try:
        text = state.ssh_config.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    _, *parts = MARK.split(text)
    keys, scopes, texts = parts[::3], parts[1::3], parts[2::3]
    return {
        key: Entry(scope=scope, text=one) for key, scope, one in zip(keys, scopes, texts, strict=True) if one
    }


def begin(state: State) -> None:
    """Have entries kept from now on, where they are not yet. Raises Failure where that can't be written."""
    with lock(state, "ssh-config"):
        if not state.ssh_config.exists():
            _write(state, {})


def end(state: State) -> None:
    """Keep no entries any more."""
    with lock(state, "ssh-config"):
        state.ssh_config.unlink(missing_ok=True)


def keep(context: CallContext, host: Host) -> None:
    """Keep how the project's instance is reached; where that can't be, it is said, and the work goes on."""
    try:
        put(context, host)
    except Failure as error:
        output.warn_of(error)


def put(context: CallContext, host: Host) -> str:
    """Keep how the project's instance is reached: what ssh calls it. Raises Failure if it can't be kept."""
    scope, name = context.scope_of(context.aws.region), context.settings.name
    # A key that was named from this folder is to be found from any.
    host = replace(host, identities=tuple(path.absolute() for path in host.identities))
    with lock(context.state, "ssh-config"):
        known = read_entries(context.state)
        changed = with_entry(known, context.key, scope, name, host)
        if changed != known and context.state.ssh_config.exists():
            _write(context.state, changed)
    return changed[context.key].alias


def drop(context: CallContext, name: str, instance_id: str = "") -> None:
    """Drop the entry of the instance of this name, with `instance_id` only where it is that one's."""
    key = context.key_of(context.aws.region, name)
    _drop(context.state, lambda at, one: at == key and instance_id in ("", one.instance_id))


def drop_gone(context: CallContext, region: str, running: Collection[str]) -> None:
    """Drop the entries of this user's instances in a region but those that run, by their ids."""
    scope = context.scope_of(region)
    _drop(context.state, lambda _, one: one.scope == scope and one.instance_id not in running)


def with_entry(known: Mapping[str, Entry], key: str, scope: str, name: str, host: Host) -> dict[str, Entry]:
    """The entries with this host's, under its key; no two of them are called the same.

    Raises UsageError for a host that can't stand in an ssh_config.
    """
    others = {at: one for at, one in known.items() if at != key}
    taken = {one.alias for one in others.values()}
    alias = alias_of(name)
    if alias in taken:
        alias = alias_of(name, apart=host.instance_id[-8:])
    return {**known, key: Entry(scope=scope, text=entry_text(alias, host))}


def _drop(state: State, ends: Callable[[str, Entry], bool]) -> None:
    try:
        with lock(state, "ssh-config"):
            known = read_entries(state)
            kept = {key: one for key, one in known.items() if not ends(key, one)}
            if kept != known:
                _write(state, kept)
    except Failure as error:
        output.warn_of(error)


def _write(state: State, entries: Mapping[str, Entry]) -> None:
    parts = (f"# ec2tasks {key} {one.scope}\n{one.text}" for key, one in entries.items())
    write_atomically(state.ssh_config, "".join((HEAD, *parts)))
