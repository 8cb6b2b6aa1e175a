"""What a launch would meet: asked of AWS at the same time, changing nothing."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, explain
from ec2tasks.aws.images import Image, choose_image, shared_architecture
from ec2tasks.aws.instance_types import TypeFacts, type_facts
from ec2tasks.aws.instances import OWNER_TAG
from ec2tasks.aws.key_pairs import described_key_pair
from ec2tasks.aws.launch import instance_profile, not_offered, zones_by_type
from ec2tasks.aws.launch_request import Candidate, LaunchPlan, candidates, run_instances_request
from ec2tasks.aws.networks import Subnet, usable_subnets
from ec2tasks.aws.own_address import networks_here
from ec2tasks.aws.reachability import route_tables, way_out
from ec2tasks.aws.security_groups import find_groups, group_names
from ec2tasks.aws.usage import Usage, quota_usage
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.config.settings import Settings

Value = TypeVar("Value")
AT_ONCE = 12
GRANTED = "DryRunOperation"  # the error by which EC2 says that it would have done so


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose credentials these are; `skew`: the seconds that this machine's clock is ahead of AWS's."""

    account: str
    arn: str
    skew: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What AWS says of a launch by these settings: each a value, or the Failure of asking for it.

    `key` is the key pair's public key, empty where AWS does not tell it, None where there is no such pair;
    `group` the security group as AWS describes it, None where there is none yet; `ways` where each subnet
    sends what goes to the internet; `dry` None where EC2 would have launched.
    """

    identity: Identity
    address: Sequence[str] | Failure
    subnets: Sequence[Subnet] | Failure
    offers: Mapping[str, set[str]] | Failure
    facts: Mapping[str, TypeFacts] | Failure
    to_try: Sequence[Candidate] | Failure
    key: str | Failure | None
    profile: str | Failure | None
    usage: Mapping[str, Usage] | Failure
    image: Image | Failure
    group: Mapping[str, Any] | Failure | None
    ways: Mapping[str, str] | Failure
    dry: Failure | None


def identity(aws: Aws, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> Identity:
    """Whose credentials these are, which AWS tells everybody.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    answer = aws.sts.get_caller_identity()
    there = str(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
    try:
        skew = (now() - parsedate_to_datetime(there)).total_seconds()
    except (TypeError, ValueError):
        skew = 0.0
    return Identity(account=answer["Account"], arn=answer["Arn"], skew=skew)


def examine(aws: Aws, settings: Settings, who: Identity) -> Seen:
    """What AWS says to `who` of a launch by these settings."""
    types = settings.instance_type
    known = {"identity": who} | _together(
        {
            "address": lambda: networks_here(aws, settings),
            "subnets": lambda: usable_subnets(aws, settings.subnet),
            "offers": lambda: zones_by_type(aws, types),
            "facts": lambda: type_facts(aws, types),
            "key": lambda: described_key_pair(aws, settings.key_name),
            "profile": lambda: instance_profile(aws, settings.iam_instance_profile),
            "usage": lambda: quota_usage(aws, types, spot=settings.spot),
        }
    )
    known["to_try"] = answer_or_failure(lambda: _to_try(aws, settings, known))
    known |= _together(
        {
            "image": lambda: _image(aws, settings, known),
            "group": lambda: _group(aws, settings, known),
            "ways": lambda: _ways(aws, known),
        }
    )
    known["dry"] = answer_or_failure(lambda: _try_launch(aws, settings, known))
    return Seen(**known)


def _together(questions: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """The answer to each of these questions, or the Failure of asking it; all are asked at the same time."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        asked = {
            name: pool.submit(contextvars.copy_context().run, answer_or_failure, ask)
            for name, ask in questions.items()
        }
        return {name: answer.result() for name, answer in asked.items()}


def answer_or_failure(ask: Callable[[], Value]) -> Value | Failure:
    """The answer, or the Failure that a user or AWS has caused it to be."""
    try:
        return ask()
    except Failure as failure:
        return failure
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        return explained


def _needed(known: Mapping[str, Any], *names: str) -> list[Any]:
    """Earlier answers. Raises the Failure of the first that there is none of."""
    for name in names:
        if isinstance(known[name], Failure):
            raise known[name]
    return [known[name] for name in names]


def _to_try(aws: Aws, settings: Settings, known: Mapping[str, Any]) -> list[Candidate]:
    offers, subnets = _needed(known, "offers", "subnets")
    found = candidates(settings.instance_type, offers, subnets)
    if not found:
        raise not_offered(aws, settings, offers, subnets)
    return found


def _image(aws: Aws, settings: Settings, known: Mapping[str, Any]) -> Image:
    facts, offers, _ = _needed(known, "facts", "offers", "to_try")
    arch = shared_architecture({name: fact.arch for name, fact in facts.items() if name in offers})
    return choose_image(aws, settings.image, arch=arch, user=settings.user)


def _group(aws: Aws, settings: Settings, known: Mapping[str, Any]) -> Any:
    (subnets,) = _needed(known, "subnets")
    names = group_names(settings.security_group, settings.key_name)
    groups = find_groups(aws, names, subnets[0].vpc)
    return next((groups[name] for name in names if name in groups), None)


def _ways(aws: Aws, known: Mapping[str, Any]) -> dict[str, str]:
    (subnets,) = _needed(known, "subnets")
    tables = route_tables(aws, subnets[0].vpc)
    return {subnet.id: way_out(tables, subnet.id) for subnet in subnets}


def _try_launch(aws: Aws, settings: Settings, known: Mapping[str, Any]) -> None:
    """Ask EC2 whether it would launch. Raises Failure or AWS's error where it would not.

    What does not exist yet is left out: a launch makes it first.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    to_try, image, group, key, profile = _needed(known, "to_try", "image", "group", "key", "profile")
    plan = LaunchPlan(
        settings=replace(settings, user_data=None),
        tags={OWNER_TAG: settings.key_name},
        image=image,
        key_name=settings.key_name,
        public_key=None,
        group_id=group["GroupId"] if group else "",
        profile=profile,
        candidates=tuple(to_try),
    )
    request = dry_request(run_instances_request(plan, to_try[0], token=""), has_key=key is not None)
    try:
        aws.ec2.run_instances(**request)
    except Exception as error:
        if error_code(error) != GRANTED:
            raise


def dry_request(request: Mapping[str, Any], *, has_key: bool) -> dict[str, Any]:
    """A RunInstances request that launches nothing, without a token, and what is not there yet."""
    kept = {name: value for name, value in request.items() if name != "ClientToken"}
    if not has_key:
        del kept["KeyName"]
    if kept.get("SecurityGroupIds") == [""]:
        del kept["SecurityGroupIds"]
    interfaces = [
        {name: value for name, value in interface.items() if value != [""]}
        for interface in kept.get("NetworkInterfaces", [])
    ]
    return {**kept, **({"NetworkInterfaces": interfaces} if interfaces else {}), "DryRun": True}
