"""What a run looks at before anything costs money, and its plan too."""

from __future__ import annotations

from ec2tasks import report
from ec2tasks.access import is_connected
from ec2tasks.arrival import Call, check_here, host_of, last_seen
from ec2tasks.errors import UsageError
from ec2tasks.likeness import say_unlike
from ec2tasks.ports import check_free
from ec2tasks.project import check_syncable


def check_run(call: Call, *, sync: bool) -> None:
    """Raise UsageError or Failure for what a run can't begin with, as far as this machine alone can tell."""
    settings = call.settings
    check_here(call)
    check_free(settings.ports)
    if settings.spot and settings.final_state == "stop":
        raise UsageError("a spot instance can't be stopped", hint="--leave or --terminate; or without --spot")
    if sync:
        check_syncable(call.project, call.home)


def foretell(call: Call) -> None:
    """Say in a plan what AWS would, as far as this machine knows it: a plan needs no credentials.

    Raises UsageError for a region that AWS does not have.
    """
    settings = call.settings
    if str(settings.sources["region"]) != "default":
        call.aws.check_region()
    if str(settings.sources["instance_type"]) != "default":
        for name in settings.instance_type:
            if (like := call.aws.types_like(name)) != [name]:
                report.warning(
                    f"boto3 here knows no instance type `{name}`",
                    hint=f"did you mean {' or '.join(f'`{one}`' for one in like)}?" if like else None,
                )
    seen = last_seen(call)
    if seen and is_connected(host_of(call, seen), call.tools):
        say_unlike(seen, settings)
