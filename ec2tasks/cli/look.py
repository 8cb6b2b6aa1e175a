"""The tasks that look before anything is launched: `check`, `quote`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context

from ec2tasks.cli.options import JSON_OPTION, LAUNCH_OPTIONS, REACH_OPTIONS
from ec2tasks.cli.task import ec2_task


@ec2_task(JSON_OPTION, *LAUNCH_OPTIONS, *REACH_OPTIONS)
def check(c: Context, given: Mapping[str, Any]) -> int:
    """Look at all that a run needs, here and in the AWS account, and say what to type where it is not well.

    Changes nothing. Looked at are: tools, credentials and whose they are, clock, region, type by zone, image
    and disk, key pair, role, quota and what runs, network and route, security group, rights (EC2's own dry
    run), price. Ends with 0 where nothing keeps a run from working, warnings or not, and with 1 where
    something does.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_context, make_gate
    from ec2tasks.commands import check as check_commands
    from ec2tasks.commands.trust import Acts

    context = make_context(c, given, acts=Acts.LOOK, asks=False, knows_account=False)
    found = check_commands.check(context, make_gate(c, given))
    if given["json"]:
        output.json(check_commands.check_json(found))
    else:
        check_commands.show(found)
    return check_commands.exit_code(found)


@ec2_task(JSON_OPTION, *LAUNCH_OPTIONS, *REACH_OPTIONS)
def quote(c: Context, given: Mapping[str, Any]) -> None:
    """Show what a run would take: type, image, quota, price, files to push, and how long the last ones took.

    Changes nothing. The price is that of the instance, its disk and its public address.
    """
    from ec2tasks.base import output
    from ec2tasks.cli.context import make_context
    from ec2tasks.commands import quote as quote_commands
    from ec2tasks.commands.trust import Acts

    found = quote_commands.quote(make_context(c, given, acts=Acts.PUSH, asks=False))
    if given["json"]:
        output.json(quote_commands.quote_json(found))
    else:
        quote_commands.show(found)
