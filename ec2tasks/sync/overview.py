"""Asks what a comparison begins with: what differs, what was touched there, which environments there are."""

from __future__ import annotations

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.process import in_background
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.environments import environment_filters, environments_in, say_environments, still_here
from ec2tasks.sync.ignore import filter_argv
from ec2tasks.sync.rsync import RsyncResult
from ec2tasks.sync.scan import Listing, list_differences
from ec2tasks.sync.touched import Touched, touched_since
from ec2tasks.sync.transfer import ROUNDS, Direction, Transfer


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What rsync lists by these filters, and with which messages; what was touched there.

    `full`: the listing holds also what is the same on both sides.
    """

    listing: Listing
    messages: RsyncResult
    touched: Touched
    filters: list[str]
    environments: set[str]
    full: bool


def overview(transfer: Transfer, baseline: Baseline, direction: Direction) -> Overview:
    """Ask both sides. Where an environment was made or taken away on either, they are asked again without it.

    Raises Failure where the instance can't be asked.
    """
    asked = set(baseline.environments)
    for _ in range(ROUNDS):
        both = _ask(transfer, baseline, direction, asked)
        environments = (
            still_here(transfer.root, asked) | both.touched.environments | _environments(both.listing)
        )
        if environments == asked:
            break
        asked = environments
    # One that a pattern wants is listed all the same.
    say_environments(
        transfer, environments - baseline.environments - _environments(both.listing), both.messages
    )
    return both


def _environments(listing: Listing) -> set[str]:
    return environments_in((*listing.differing, *listing.only_remote, *listing.same))


def _ask(transfer: Transfer, baseline: Baseline, direction: Direction, environments: set[str]) -> Overview:
    root, remote, tools = transfer.root, transfer.remote, transfer.tools
    touched = in_background(lambda: touched_since(remote, tools, baseline.seen, environments))
    filters = [*filter_argv(root), *environment_filters(environments)]
    full = not baseline.complete
    listing, messages = list_differences(root, remote, tools, filters, direction=direction, full=full)
    return Overview(
        listing=listing,
        messages=messages,
        touched=touched(),
        filters=filters,
        environments=environments,
        full=full,
    )
