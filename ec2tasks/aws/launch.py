"""Launching an instance: what is looked up and checked before, and the order in which EC2 is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ec2tasks.aws.capacity import Refusal, refused_failure
from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, error_text, warn_if_denied
from ec2tasks.aws.images import choose_image, shared_architecture
from ec2tasks.aws.instance_types import type_facts
from ec2tasks.aws.key_pairs import described_key_pair, ensure_key_pair
from ec2tasks.aws.launch_request import Candidate, LaunchPlan, candidates, run_instances_request
from ec2tasks.aws.networks import Subnet, usable_subnets
from ec2tasks.aws.own_address import networks_here
from ec2tasks.aws.security_groups import SHARED_GROUP, find_groups, group_names, open_ssh_port, security_group
from ec2tasks.aws.user_data import user_data
from ec2tasks.aws.way_in import foresee
from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import Tools, in_background
from ec2tasks.config.schema import DEFAULT_TYPES
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef

DEFAULT_PROFILE = "EC2ReadOnlyAccessToS3"
# Refusals after which another type or zone may be granted.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
NEXT_MAY_BE_GRANTED = (
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "Unsupported",
    "SpotMaxPriceTooLow",
    "VcpuLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "InstanceLimitExceeded",
    "InsufficientFreeAddressesInSubnet",
)


def plan_launch(
    aws: Aws, settings: Settings, tags: Mapping[str, str], *, home: Path, tools: Tools
) -> LaunchPlan:
    """Look up and check all that a launch names, at no cost; make the key pair and security group it needs.

    What needs no other's answer is asked at the same time; nothing is made before all is checked. Raises
    UsageError or Failure for the first mistake.
    """
    user_data(settings)
    owner = settings.key_name
    known_key = in_background(lambda: described_key_pair(aws, owner))
    profile = in_background(lambda: instance_profile(aws, settings.iam_instance_profile))
    networks = in_background(lambda: networks_here(aws, settings))
    to_try, arch = _what_to_try(aws, settings)
    vpc, names = to_try[0].subnet.vpc, group_names(settings.security_group, owner)
    known_groups = in_background(lambda: find_groups(aws, names, vpc))
    warn_of_way_in = _look_at_way_in(aws, settings, to_try, known_groups, networks)
    image = choose_image(aws, settings.image, arch=arch, user=settings.user)
    key_pair = ensure_key_pair(aws, owner, settings.key_file, home, tools, known=known_key)
    make = settings.create_security_group
    group_id = security_group(
        aws, settings.security_group, owner=owner, vpc=vpc, create=make, known=known_groups
    )
    open_ssh_port(aws, [group_id], owner=owner, port=aws.endpoint.ssh_port, networks=networks)
    warn_of_way_in()
    return LaunchPlan(
        settings=settings,
        tags={**tags, "ec2tasks:user": image.user},
        image=image,
        key_name=key_pair.name,
        public_key=key_pair.public,
        group_id=group_id,
        profile=profile(),
        candidates=tuple(to_try),
    )


def _look_at_way_in(
    aws: Aws,
    settings: Settings,
    to_try: Sequence[Candidate],
    groups: Callable[[], Mapping[str, Any]],
    networks: Callable[[], Sequence[str]],
) -> Callable[[], None]:
    """Begin to look at the way into what is to be launched; the function returned warns of what is not well.

    Raises UsageError, before anything is made, where a group of the user's own can't be opened.
    """
    if settings.security_group is None and SHARED_GROUP not in groups():
        networks()
    vpc, owner = to_try[0].subnet.vpc, settings.key_name
    # Where it is not reached from the internet, no subnet needs a way in from there.
    subnets = [*{one.subnet.id: one for one in to_try}] if settings.via == VIA_PUBLIC else []
    return foresee(aws, owner=owner, vpc=vpc, subnets=subnets, groups=groups, networks=networks)


def _what_to_try(aws: Aws, settings: Settings) -> tuple[list[Candidate], str]:
    """What to ask EC2 for, in its order, and the architecture of all of it. Raises UsageError for nothing."""
    types = settings.instance_type
    offers = in_background(lambda: zones_by_type(aws, types))
    facts = in_background(lambda: type_facts(aws, types))
    subnets = usable_subnets(aws, settings.subnet)
    zones = offers()
    to_try = candidates(types, zones, subnets)
    if not to_try:
        raise not_offered(aws, settings, zones, subnets)
    return to_try, shared_architecture({name: fact.arch for name, fact in facts().items() if name in zones})


def zones_by_type(aws: Aws, types: Sequence[str]) -> dict[str, set[str]]:
    """The zones of the region that offer each of these types; a type offered nowhere is left out.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
    """
    pages = aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    zones: dict[str, set[str]] = {}
    for page in pages:
        for offer in page["InstanceTypeOfferings"]:
            zones.setdefault(offer["InstanceType"], set()).add(offer["Location"])
    return zones


def not_offered(
    aws: Aws, settings: Settings, zones: Mapping[str, set[str]], subnets: Sequence[Subnet]
) -> UsageError:
    """The failure that none of the types is offered where there is a subnet, with those like it."""
    words = ", ".join(f"`{name}`" for name in settings.instance_type)
    if zones:
        places = ", ".join(sorted(set().union(*zones.values())))
        return UsageError(
            f"{words} is offered in {places}, where there is no subnet to launch in",
            hint=f"subnet: one in {places}; given: {', '.join(subnet.zone for subnet in subnets)}",
        )
    like = [other for name in settings.instance_type for other in aws.types_like(name) if other != name]
    known = sorted(zones_by_type(aws, like or DEFAULT_TYPES))
    instead = f"--type {' or '.join(known)}; or " if known else ""
    return UsageError(
        f"{words} is not offered in {settings.region}", hint=f"{instead}another --region, or another --type"
    )


def instance_profile(aws: Aws, setting: str | None) -> str | None:
    """The instance profile to launch with: that of the setting, else the usual one where the account has it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html
    """
    name = setting or DEFAULT_PROFILE
    try:
        profile = aws.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        # IAM shows one that an administrator has just made before EC2 knows it.
        age = (datetime.now(timezone.utc) - profile["CreateDate"]).total_seconds()
        aws.made.add(name, profile["Arn"], age=max(0.0, age))
        return name
    except Exception as error:
        # Not being allowed to look is no reason not to use what was asked for by name.
        if warn_if_denied(error, f"`{setting}` is used unseen" if setting else "the instance gets no role"):
            return setting
        if error_code(error) != "NoSuchEntity":
            raise
    if setting:
        raise UsageError(
            f"no instance profile `{setting}` in the account",
            hint="`aws iam list-instance-profiles` lists them",
        )
    output.step(f"no instance profile {DEFAULT_PROFILE} in the account: the instance gets no AWS rights")
    return None


def launch(
    aws: Aws,
    plan: LaunchPlan,
    make_token: Callable[[Mapping[str, Any]], str],
    *,
    lost: Sequence[Refusal] = (),
    loud: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> InstanceTypeDef:
    """Launch an instance: ask EC2 for each candidate until one is granted, each with a token of its own.

    https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html

    Where none is at the spot price, each is asked for on demand, where the settings say so. What was `lost`
    is not asked for again; refusals are said one by one where it is `loud`. Raises Failure with every reason
    where none is granted.
    """
    say = output.step if loud else _silent
    refusals = list(lost)
    for priced in _plans_by_price(plan):
        if priced is not plan:
            say("no spot capacity anywhere: launching on demand")
        for candidate in plan.candidates:
            spot, instance_type = priced.settings.spot, candidate.instance_type
            if any(
                refusal.applies_to(instance_type, candidate.subnet.zone, spot=spot) for refusal in refusals
            ):
                continue
            try:
                request = run_instances_request(priced, candidate, token="")
                return aws.run_instances({**request, "ClientToken": make_token(request)}, sleep=sleep)
            except Exception as error:
                refusal = _refusal(error, candidate, spot=spot)
                if refusal is None:
                    raise
                refusals.append(refusal)
                say(f"no {refusals[-1].requested} in {refusals[-1].zone}: {refusals[-1].reason}")
    raise refused_failure(refusals, plan.settings.region)


def _silent(_text: str) -> None:
    """Nothing said: what is told was told before."""


def _refusal(error: Exception, candidate: Candidate, *, spot: bool) -> Refusal | None:
    """The refusal after which the next candidate is asked for; None for any other error."""
    code = error_code(error)
    if code not in NEXT_MAY_BE_GRANTED:
        return None
    zone, text = candidate.subnet.zone, error_text(error)
    return Refusal(instance_type=candidate.instance_type, zone=zone, spot=spot, code=code, text=text)


def _plans_by_price(plan: LaunchPlan) -> list[LaunchPlan]:
    """The plan itself, then the same on demand where it may fall back from the spot price."""
    settings = plan.settings
    if not (settings.spot and settings.spot_fallback):
        return [plan]
    return [plan, replace(plan, settings=replace(settings, spot=False))]
