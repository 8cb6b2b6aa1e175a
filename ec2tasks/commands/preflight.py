"""What a run looks at before anything costs money, and its plan too."""

from __future__ import annotations

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.exchange import MEBIBYTE, Limits
from ec2tasks.base.project import check_syncable
from ec2tasks.base.project_dir import check_writable
from ec2tasks.base.state import check_state
from ec2tasks.config.layers import dotenv_content
from ec2tasks.lifecycle.acquire import check_local_tools
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.drift import settle_drift
from ec2tasks.lifecycle.find import host_of, remembered_instance
from ec2tasks.ssh.connect import is_connected
from ec2tasks.ssh.forwards import Forward, open_here
from ec2tasks.ssh.ports import check_ports_free
from ec2tasks.sync.ignore import IGNORE_FILE, filter_argv

DOTENV = ".env"
KEY_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
LISTING = Limits(out=256 * MEBIBYTE, seconds=60.0)  # of a folder with a million files


def check_run(context: CallContext, *, sync: bool) -> None:
    """Raise UsageError or Failure for what a run can't begin with, as far as this machine alone can tell."""
    settings = context.settings
    check_local_tools(context, moves=sync)
    check_state(context.state)
    _check_ports(context)
    if settings.spot and settings.final_state == "stop":
        raise UsageError("a spot instance can't be stopped", hint="--leave or --terminate; or without --spot")
    if sync:
        check_push(context)
    _ = context.account  # known from here on: what it may ask for is asked by this thread


def _check_ports(context: CallContext) -> None:
    """Raise UsageError for a port that is taken here, unless by the same forward of this instance's."""
    ports = context.settings.ports
    seen = remembered_instance(context) if ports else None
    opened = open_here(host_of(context, seen), context.tools) if seen else {}
    ways = {one.way for one in opened}
    check_ports_free(port for port in ports if Forward(spec=port).way not in ways)


def check_push(context: CallContext) -> None:
    """Raise UsageError for a folder that is no project to send; say where AWS keys would travel with it.

    Raises Failure where the project can't be written.
    """
    check_syncable(context.project, context.home)
    check_writable(context.project.root)
    names = [name for name in KEY_NAMES if dotenv_content(context.project.root / DOTENV).get(name)]
    if names and _travels(context, DOTENV):
        line = f"the line `{DOTENV}` in {IGNORE_FILE} keeps it here"
        ignore_file = (context.project.root / IGNORE_FILE).is_file()
        output.warning(
            f"{DOTENV} holds AWS keys ({', '.join(names)}) and goes to the instance"
            ", whose role makes them unneeded",
            hint=line if ignore_file else f"{line}; `ec2tasks init` writes that file",
        )


def _travels(context: CallContext, name: str) -> bool:
    """Whether a file of the project's top folder is sent; rsync alone reads its patterns."""
    argv = ["rsync", "--dirs", "--list-only", *filter_argv(context.project.root), f"{context.project.root}/"]
    listed = context.tools.capture(argv, limits=LISTING).stdout.decode(errors="replace").splitlines()
    return any(line.endswith(f" {name}") for line in listed)


def foretell(context: CallContext) -> None:
    """Say in a plan what AWS would, as far as this machine knows it: a plan needs no credentials.

    Raises UsageError for a region that AWS does not have, and for an instance of another type than is named.
    """
    settings = context.settings
    if settings.given("region"):
        context.aws.check_region()
    if settings.given("instance_type"):
        for name in settings.instance_type:
            if (like := context.aws.types_like(name)) != [name]:
                output.warning(
                    f"boto3 here knows no instance type `{name}`",
                    hint=f"did you mean {' or '.join(f'`{one}`' for one in like)}?" if like else None,
                )
    seen = remembered_instance(context)
    if seen and is_connected(host_of(context, seen), context.tools):
        settle_drift(seen, settings, reuse=context.reuse, ask=lambda _question: None)
