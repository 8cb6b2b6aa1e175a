"""Makes the project's instance known to the user's own ssh, and to all that reads ~/.ssh/config."""

from __future__ import annotations

from pathlib import Path

from ec2tasks.aws import instances
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.state import State, lock
from ec2tasks.lifecycle import ssh_entries
from ec2tasks.lifecycle.acquire import check_local_tools, connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import forget_gone
from ec2tasks.ssh.config_entry import alias_of, include_line
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.user_config import add_line, is_included, take_line

ASKED = Limits(seconds=10.0)  # of ssh, which connects to nobody for it


def config_of(home: Path) -> Path:
    """The user's own ssh_config."""
    return home / ".ssh" / "config"


def begin(context: CallContext) -> str | None:
    """Keep an entry for each instance that runs, from now on, and now for the project's: its name for ssh.

    None where no instance runs. Raises Failure where ~/.ssh/config can't be told of them: they are kept all
    the same.
    """
    check_local_tools(context, moves=False)
    line, config = include_line(context.state.ssh_config), config_of(context.home)
    ssh_entries.begin(context.state)
    unfit: Failure | None = None
    try:
        with lock(context.state, "ssh-user-config"):
            if add_line(config, line):
                output.step(f"`{line}` now stands at the top of {config}")
    except Failure as error:
        unfit = error
    found = _keep(context)
    if unfit:
        raise unfit
    if found:
        _check_reached(context, *found)
    return found[0] if found else None


def _keep(context: CallContext) -> tuple[str, Host] | None:
    """Keep the entry of the project's instance, where it runs; what ssh calls it, and what that is to be."""
    name, region = context.settings.name, context.aws.region
    listed = instances.list_instances(context.aws, owner=context.settings.key_name)
    forget_gone(context, region, listed)
    if not any(one.state in instances.UP and one.name == name for one in listed):
        output.step(f"no instance `{name}` runs in {region}: `{alias_of(name)}` reaches the next one")
        output.hint("`ec2tasks up` launches or starts it")
        return None
    host = connect_running(context)
    return ssh_entries.put(context, host), host


def _check_reached(context: CallContext, alias: str, host: Host) -> None:
    """Warn where ssh, as the user calls it, would not go where it should by that name."""
    said = context.tools.capture(["ssh", "-G", alias], limits=ASKED).stdout.decode(errors="replace")
    if f"hostkeyalias {host.instance_id}\n" not in said:
        output.warning(
            f"`ssh {alias}` does not lead to {host.instance_id}: something else counts first",
            hint=f"`ssh -v {alias}` shows which files ssh reads; that line belongs at the top of the first",
        )


def end(state: State, home: Path) -> bool:
    """Keep no entries any more, and take the line out of ~/.ssh/config; whether there was anything of it."""
    line, kept = include_line(state.ssh_config), state.ssh_config.exists()
    with lock(state, "ssh-user-config"):
        ssh_entries.end(state)
        return take_line(config_of(home), line) or kept


def plan_lines(state: State, home: Path, *, removes: bool) -> list[str]:
    """What would be done, a line each."""
    line, config = include_line(state.ssh_config), config_of(home)
    if removes:
        return [f"remove {state.ssh_config}", f"take `{line}` out of {config}"]
    lines = [f"write {state.ssh_config} at each start and end"]
    return lines if is_included(config, line) else [*lines, f"put `{line}` at the top of {config}"]
