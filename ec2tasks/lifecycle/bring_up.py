"""Brings the project's instance up, by a start or a launch, and waits until it takes commands."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.capacity import Refusal
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.launch import plan_launch
from ec2tasks.aws.launch_request import LaunchPlan, plan_prices, price_figures
from ec2tasks.aws.own_address import networks_here
from ec2tasks.aws.prices import offer_text, price_text
from ec2tasks.aws.reachability import boot_limit, reachability
from ec2tasks.aws.security_groups import open_ssh_port
from ec2tasks.aws.start_and_end import NextStep
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.project import project_identity
from ec2tasks.base.project_dir import stored_identity
from ec2tasks.base.signals import deferred
from ec2tasks.base.state import lock
from ec2tasks.base.waiting import waiting
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import no_instance_error, settled_instance
from ec2tasks.lifecycle.launching import launch_patiently, taken_back
from ec2tasks.lifecycle.pricing import Told, ask_rates, check_affordable
from ec2tasks.ssh.connect import wait_ready
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.packages import install_missing

if TYPE_CHECKING:
    from ec2tasks.lifecycle.acquire import Acquired


def get_ready(context: CallContext, instance: Instance, host: Host) -> None:
    """Wait until SSH answers, and install what the image lacks. Raises Failure where it does not in time."""
    settings = context.settings
    limit = boot_limit(instance.type)
    shown = "AWS's console to show its host key, and " if host.console_first else ""
    what = f"{shown}SSH to answer on the instance, at most {limit:.0f} s"
    with waiting(what, usual=context.usual("ssh", instance.type)):
        wait_ready(
            host,
            context.aws,
            context.tools,
            limit=limit,
            describe=lambda: instances.describe_instance(context.aws, instance.id),
            open_port=lambda: open_ssh_port(
                context.aws,
                instance.group_ids,
                owner=settings.key_name,
                port=host.port,
                networks=lambda: networks_here(context.aws, settings),
            ),
            why_not=lambda now: reachability(context.aws, now, host.port, settings),
        )
    install_missing(host, context.tools)


@dataclass(kw_only=True)
class _Launches:
    """The launches of one call: of each that AWS takes back for want of room, the next candidate."""

    context: CallContext
    acquired: Acquired
    may_launch: bool
    plan: LaunchPlan | None = None
    lost: list[Refusal] = field(default_factory=list)

    def launch(self) -> Instance:
        """Launch an instance. Raises Failure where none may be launched or none is granted."""
        if not self.may_launch:
            raise no_instance_error(self.context)
        if self.plan is None:
            told = ask_rates(self.context)
            plan = _plan_launch(self.context)
            output.step(NextStep.LAUNCH.value)  # only now: each mistake that costs nothing was looked for
            self.plan = _priced(plan, told())
        # Between AWS's yes and our knowing it, a Ctrl-C would leave an instance that nobody ends.
        with deferred() as pause:
            instance = launch_patiently(self.context, self.plan, lost=self.lost, sleep=pause)
            self.acquired.instance, self.acquired.launched = instance, True
        output.step(f"launched {instance.where}, {price_text(instance.price)}")
        return instance

    def is_lost(self, instance: Instance) -> bool:
        """Whether AWS has taken an instance back; it is no longer what is acquired."""
        refusal = taken_back(instance)
        if refusal:
            output.step(f"{instance.where}: AWS has taken it back: {instance.reason}")
            self.lost.append(refusal)
            self.acquired.instance, self.acquired.launched = None, False
        return refusal is not None


def bring_up(context: CallContext, acquired: Acquired, *, may_launch: bool) -> None:
    """Start the instance, or launch one where `may_launch`; `acquired` has it, also where that fails."""
    launches = _Launches(context=context, acquired=acquired, may_launch=may_launch)

    def start_one(instance: Instance) -> None:
        start_and_end.start(context.aws, instance)
        acquired.started = True

    there = acquired.instance
    usual = context.usual(
        "start" if there else "launch", there.type if there else context.settings.instance_type[0]
    )
    # Of several clients of this machine at once, one launches and the others find what it launched.
    with lock(context.state, f"launch-{context.key}"), waiting("AWS to bring it up", usual=usual):
        instance = start_and_end.bring_up(
            find=lambda: settled_instance(context),
            launch=launches.launch,
            start=start_one,
            is_lost=launches.is_lost,
            via=context.settings.via,
            describe=lambda instance_id: instances.describe_instance(context.aws, instance_id),
        )
        acquired.launched = (
            acquired.launched and acquired.instance is not None and acquired.instance.id == instance.id
        )
        acquired.instance = instance


def _plan_launch(context: CallContext) -> LaunchPlan:
    known = stored_identity(context.project.root) or project_identity(context.project)
    tags = instances.launch_tags(context.settings, known)
    return plan_launch(context.aws, context.settings, tags, home=context.home, tools=context.tools)


def _priced(plan: LaunchPlan, told: Told) -> LaunchPlan:
    """The plan with what it would cost, which is said: nothing has been launched yet.

    Raises UsageError where max_cost could not be kept.
    """
    prices = plan_prices(plan, told.rates)
    told.say()
    check_affordable(plan.settings.max_cost, prices.values())
    spot, falls_back = plan.settings.spot, plan.settings.spot_fallback
    output.step(offer_text([prices[one.key(spot=spot)] for one in plan.candidates]))
    if spot and falls_back:
        on_demand = offer_text([prices[one.key(spot=False)] for one in plan.candidates])
        output.step(f"without spot capacity, on demand: {on_demand}")
    return replace(plan, prices=price_figures(prices))
