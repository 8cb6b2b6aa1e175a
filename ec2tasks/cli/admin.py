"""The tasks of an administrator: `admin.policy`, `admin.setup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.collection import Collection
from invoke.context import Context

from ec2tasks.admin import setup as admin
from ec2tasks.admin.policy import Rights, parse_rights, policy_text
from ec2tasks.base import output
from ec2tasks.cli.options import ADMIN_OPTIONS, SETUP_OPTIONS
from ec2tasks.cli.task import ec2_task, is_dry, make_context
from ec2tasks.commands.trust import Acts


def _rights(given: Mapping[str, Any]) -> Rights:
    return parse_rights(without=given["without"], roles=given["role"], owner=given["owner"])


@ec2_task(*ADMIN_OPTIONS)
def policy(c: Context, given: Mapping[str, Any]) -> None:  # noqa: ARG001  # it asks nothing of Invoke
    """Print the least IAM policy that lets users use ec2tasks, as the AWS console takes it."""
    output.document(policy_text(_rights(given)))


@ec2_task(*SETUP_OPTIONS)
def setup(c: Context, given: Mapping[str, Any]) -> None:
    """Create what users need in the account: policy, group, roles for S3; with --network a security group.

    What is there already is kept and completed; run again, it changes nothing. With --dry-run it only
    shows what it would change.
    """
    allowed = _rights(given)
    context = make_context(c, given, acts=Acts.LOOK, asks_anyway=True)
    desired = admin.desired_setup(context.aws, allowed, buckets=given["bucket"], networks=given["network"])
    admin.setup(context.aws, desired, dry=is_dry(c, given))


ns = Collection("admin", policy, setup)
