"""The tasks that look after instances without being on one: `status`, `ls`, `reap`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import JSON_OPTION, PLACE_OPTIONS, Option
from ec2tasks.cli.task import ec2_task

ALL_REGIONS = Option(names=("all_regions",), kind=bool, help="in every region of the account")


@ec2_task(JSON_OPTION, *PLACE_OPTIONS)
def status(c: Context, given: Mapping[str, Any]) -> None:
    """Show this project's instance: state, type, place, age, cost; who is on it, when and why it will end."""
    from ec2tasks.cli.listing import show_instance

    show_instance(c, given)


@ec2_task(
    JSON_OPTION,
    ALL_REGIONS,
    *PLACE_OPTIONS,
)
def ls(c: Context, given: Mapping[str, Any]) -> None:
    """List all your instances that ec2tasks launched in the region, or in all of them.

    Says which disks and addresses are left behind and cost; with --json they stand in the list too, each with
    its `kind`: instance, disk or address.
    """
    from ec2tasks.cli.listing import list_all

    list_all(c, given)


@ec2_task(
    JSON_OPTION,
    ALL_REGIONS,
    Option(names=("yes", "y"), kind=bool, help="end them without asking"),
    Option(names=("force",), kind=bool, help="end those too that may hold results which were not fetched"),
    Option(names=("dry",), kind=bool, help="only show them"),
    *PLACE_OPTIONS,
)
def reap(c: Context, given: Mapping[str, Any]) -> int:
    """End instances of yours that were forgotten, after showing them.

    Forgotten are those stopped for longer than the setting `reap_after`, and those whose launch was cut short
    before anybody got on them. One that may hold results which were not fetched is only shown, unless with
    `--force`; so is a disk of yours that is on no instance. Asks before it ends anything; without a terminal
    only `--yes` ends anything. With --json, disks and addresses stand in the list too, each with its `kind`.
    """
    from ec2tasks.cli.reaping import reap_forgotten

    return reap_forgotten(c, given)
