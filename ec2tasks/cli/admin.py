"""The tasks of an administrator: `admin.policy`, `admin.setup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.collection import Collection
from invoke.context import Context

from ec2tasks.admin import permission_set
from ec2tasks.admin import setup as admin
from ec2tasks.admin.policy import Rights, parse_rights, policy_text
from ec2tasks.aws.client import partition_of
from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.cli.options import POLICY_OPTIONS, SETUP_OPTIONS
from ec2tasks.cli.task import ec2_task, is_dry, make_context, make_settings
from ec2tasks.commands.trust import Acts


def _rights(given: Mapping[str, Any], region: str) -> Rights:
    """The rights that the options mean, in the part of AWS that they, or else the region in use, are in."""
    regions = given["only_region"]
    parts = sorted({partition_of(one) for one in regions or [region]})
    if len(parts) > 1:
        raise UsageError(
            f"{' and '.join(f'`{one}`' for one in regions)} are in parts of AWS that share no account:"
            f" {', '.join(parts)}",
            hint="one call for each",
        )
    return parse_rights(
        without=given["without"],
        roles=given["role"],
        owner=given["owner"],
        types=given["only_type"],
        regions=regions,
        keys=given["kms_key"],
        partition=parts[0],
    )


@ec2_task(*POLICY_OPTIONS)
def policy(c: Context, given: Mapping[str, Any]) -> None:
    """Print the least IAM policy that lets users use ec2tasks, as the AWS console takes it.

    As an inline policy it is for a permission set of IAM Identity Center too. IAM knows no number of
    instances: the account's quota of vCPUs is that limit.
    """
    output.document(policy_text(_rights(given, make_settings(c, {}).region)))


@ec2_task(*SETUP_OPTIONS)
def setup(c: Context, given: Mapping[str, Any]) -> None:
    """Create what users need in the account: policy, group, roles for S3; with --network a security group.

    What is there already is kept and completed; run again, it changes nothing. With --dry-run it only
    shows what it would change. With --permission-set, called where IAM Identity Center is managed, users get
    their rights by that in place of the group.
    """
    context = make_context(c, given, acts=Acts.LOOK, asks_anyway=True)
    allowed = _rights(given, context.aws.region)
    if name := given["permission_set"]:
        permission_set.check_set(name, allowed)
        permission_set.set_up(context.aws, name, allowed, dry=is_dry(c, given))
        return
    desired = admin.desired_setup(context.aws, allowed, buckets=given["bucket"], networks=given["network"])
    admin.setup(context.aws, desired, dry=is_dry(c, given))


ns = Collection("admin", policy, setup)
