"""The tasks of an administrator: `admin.policy`, `admin.setup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.collection import Collection
from invoke.context import Context

from ec2tasks.cli.options import POLICY_OPTIONS, SETUP_OPTIONS
from ec2tasks.cli.task import ec2_task


@ec2_task(*POLICY_OPTIONS)
def policy(c: Context, given: Mapping[str, Any]) -> None:
    """Print the least IAM policy that lets users use ec2tasks, as the AWS console takes it.

    As an inline policy it is for a permission set of IAM Identity Center too. IAM knows no number of
    instances: the account's quota of vCPUs is that limit.
    """
    from ec2tasks.admin.policy import policy_text
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_settings
    from ec2tasks.cli.rights import rights

    output.document(policy_text(rights(given, make_settings(c, {}).region)))


@ec2_task(*SETUP_OPTIONS)
def setup(c: Context, given: Mapping[str, Any]) -> None:
    """Create what users need in the account: policy, group, roles for S3; with --network a security group.

    What is there already is kept and completed; run again, it changes nothing. With --dry-run it only
    shows what it would change. With --permission-set, called where IAM Identity Center is managed, users get
    their rights by that in place of the group.
    """
    from ec2tasks.admin import permission_set
    from ec2tasks.admin import setup as admin
    from ec2tasks.cli.context import is_dry, make_context
    from ec2tasks.cli.rights import rights
    from ec2tasks.commands.trust import Acts

    context = make_context(c, given, acts=Acts.LOOK, asks_anyway=True)
    allowed = rights(given, context.aws.region)
    if name := given["permission_set"]:
        permission_set.check_set(name, allowed)
        permission_set.set_up(context.aws, name, allowed, dry=is_dry(c, given))
        return
    desired = admin.desired_setup(context.aws, allowed, buckets=given["bucket"], networks=given["network"])
    admin.setup(context.aws, desired, dry=is_dry(c, given))


ns = Collection("admin", policy, setup)
