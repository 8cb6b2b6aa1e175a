"""What keeps a launch from working, or may: decided from what was seen, each with what to type. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import TypeVar

from ec2tasks.aws.examine import Seen
from ec2tasks.aws.images import Image
from ec2tasks.aws.prices import Price, offer_text, price_of
from ec2tasks.aws.quotas import raise_hint
from ec2tasks.aws.security_groups import SHARED_GROUP, own_group_name
from ec2tasks.aws.usage import Usage
from ec2tasks.aws.way_in import closed_subnets, open_door, shut_out
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC
from ec2tasks.lifecycle.pricing import Told

Value = TypeVar("Value")
SKEW = 60.0  # seconds that a clock may be wrong without a word; AWS refuses one by 5 minutes
OLD_IMAGE = 180  # days
HAS_DRIVER = re.compile(r"nvidia|gpu|cuda|neuron|deep learning", re.IGNORECASE)


class Level(Enum):
    """How a finding counts; the values are the words shown."""

    OK = "ok"
    WARNING = "warning"
    MEND = "mend"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at: how it stands, and what to type where that is not well."""

    name: str
    level: Level = Level.OK
    text: str
    hint: str | None = None


def ok(name: str, text: str) -> Finding:
    """Something that is well."""
    return Finding(name=name, text=text)


def of_failure(name: str, failure: Failure, level: Level = Level.MEND) -> Finding:
    """The finding that a failure comes to."""
    text = " ".join([failure.what, "; ".join(failure.lines)]).strip()
    return Finding(name=name, level=level, text=text, hint=failure.hint)


def findings(
    seen: Seen, told: Told, settings: Settings, *, port: int, has_key: bool, running: str = ""
) -> list[Finding]:
    """Each thing that AWS was asked about, in the order of a launch.

    `port` is that of SSH; `has_key` says whether the private half of the key pair is here; `running` names
    the project's instance, where one is up that a run would take.
    """
    who = seen.identity
    found = [
        ok("credentials", f"{who.arn}, account {who.account}"),
        _clock(who.skew),
        _of("type", seen.to_try, lambda _: _types(seen, settings)),
        _of("image", seen.image, lambda image: _image(image, seen, settings)),
        _of("disk", seen.image, lambda image: _disk(image, settings)),
        _key(seen, settings, has_key=has_key),
        _of("role", seen.profile, _role, level=Level.WARNING),
        _of("quota", seen.usage, lambda _: _quota(seen, settings, running), level=Level.WARNING),
        _of("network", seen.subnets, lambda _: _network(seen, settings)),
        _of("route", seen.ways, lambda _: _route(seen, settings), level=Level.WARNING),
        _of("own address", seen.address, lambda one: ok("own address", ", ".join(one)), level=Level.WARNING),
        _of("security group", seen.group, lambda _: _group(seen, settings, port)),
        _of("rights", seen.dry, lambda _: ok("rights", "EC2 would launch it (a dry run)")),
        _price(seen, told, settings),
    ]
    return list(each_failure_once(found))


def each_failure_once(found: Sequence[Finding]) -> Iterator[Finding]:
    """The same findings; what could not be looked at for the failure of an earlier one says that alone."""
    first: dict[str, str] = {}
    for one in found:
        earlier = first.setdefault(one.text, one.name) if one.level is not Level.OK else one.name
        if earlier == one.name:
            yield one
        else:
            text = f"not looked at, for the reason of `{earlier}`"
            yield Finding(name=one.name, level=Level.WARNING, text=text)


def _of(
    name: str, value: Value | Failure, judge: Callable[[Value], Finding], level: Level = Level.MEND
) -> Finding:
    """The judgement of what was seen; where it could not be, that."""
    return of_failure(name, value, level) if isinstance(value, Failure) else judge(value)


def _clock(skew: float) -> Finding:
    if abs(skew) <= SKEW:
        return ok("clock", "as AWS's")
    way = "ahead of" if skew > 0 else "behind"
    text = f"this machine's is {abs(skew):.0f} s {way} AWS's, which refuses 300 s"
    return Finding(name="clock", level=Level.WARNING, text=text, hint="sudo timedatectl set-ntp true")


def _types(seen: Seen, settings: Settings) -> Finding:
    assert not isinstance(seen.to_try, Failure)
    zones: dict[str, list[str]] = {}
    for one in seen.to_try:
        zones.setdefault(one.instance_type, []).append(one.subnet.zone)
    text = "; ".join(f"{', '.join(names)} in {places}" for places, names in _by_value(zones).items())
    lacking = [name for name in settings.instance_type if name not in zones]
    if not lacking:
        return ok("type", text)
    text = f"{', '.join(lacking)} is not offered there; {text}"
    return Finding(name="type", level=Level.WARNING, text=text, hint=f"--type {','.join(zones)}")


def _image(image: Image, seen: Seen, settings: Settings) -> Finding:
    text = f"{image.id} ({image.name}), login {image.user}"
    facts = {} if isinstance(seen.facts, Failure) else seen.facts
    with_gpu = [name for name in settings.instance_type if name in facts and facts[name].gpus]
    if with_gpu and not HAS_DRIVER.search(image.name):
        text = f"{text}: by its name it brings no driver for the GPU of {', '.join(with_gpu)}"
        return Finding(name="image", level=Level.WARNING, text=text, hint="--image base, or --image pytorch")
    days = age_in_days(image.created)
    if days is not None and days > OLD_IMAGE:
        text = f"{text}: it is {days} days old, and so are its drivers and its security fixes"
        return Finding(
            name="image", level=Level.WARNING, text=text, hint="--image pytorch takes the newest of Amazon's"
        )
    return ok("image", text)


def age_in_days(created: str, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> int | None:
    """The days since a time in ISO 8601, as AWS writes it; None for anything else."""
    try:
        return (now() - datetime.fromisoformat(created.replace("Z", "+00:00"))).days
    except (ValueError, TypeError):
        return None


def _disk(image: Image, settings: Settings) -> Finding:
    needed, asked = image.disk_sizes.get(image.root_device, 0), settings.disk_gb
    if asked and asked < needed:
        text = f"disk_gb: {asked} is smaller than the image's {needed} GiB, which AWS refuses"
        return Finding(name="disk", level=Level.MEND, text=text, hint=f"--disk-gb {needed}, or more")
    if asked:
        return ok("disk", f"{asked} GiB, {asked - needed} beyond the image's")
    return ok("disk", f"{needed} GiB, the image's own; --disk-gb SIZE makes it larger")


def _key(seen: Seen, settings: Settings, *, has_key: bool) -> Finding:
    name = settings.key_name
    if isinstance(seen.key, Failure):
        return of_failure("key pair", seen.key)
    if seen.key is None:
        return ok("key pair", f"`{name}` is not in {settings.region} yet: a launch imports your public key")
    if not has_key:
        text = f"`{name}` exists in {settings.region}, but none of your private keys is its counterpart"
        hint = "-i FILE names it; or another one: --key-name NAME"
        return Finding(name="key pair", level=Level.MEND, text=text, hint=hint)
    return ok("key pair", f"`{name}`, and its private half is here")


def _role(profile: str | None) -> Finding:
    return ok("role", profile or "none: the instance gets no AWS rights")


def _quota(seen: Seen, settings: Settings, running: str) -> Finding:
    assert not isinstance(seen.usage, Failure)
    facts = {} if isinstance(seen.facts, Failure) else seen.facts
    needs = {
        name: facts[name].vcpus for name in settings.instance_type if name in facts and name in seen.usage
    }
    full = [name for name, vcpus in needs.items() if not seen.usage[name].has_room_for(vcpus)]
    shared = _by_value({name: [_usage_text(seen.usage[name])] for name in needs})
    parts = [f"{usage}; needed: {_needs(needs, names)}" for usage, names in shared.items()]
    text = "; ".join(parts) or "AWS tells of none for these types"
    if full and running:
        return ok("quota", f"{text}; a run takes {running}, which is up already")
    if not full:
        return ok("quota", text)
    level = Level.MEND if len(full) == len(needs) else Level.WARNING
    hint = raise_hint(full[0], seen.usage[full[0]].quota, settings.region)
    return Finding(name="quota", level=level, text=text, hint=hint)


def _usage_text(usage: Usage) -> str:
    limit = "a number that AWS does not tell" if usage.limit is None else f"{usage.limit:.0f}"
    return f"{usage.quota.name}: {usage.used} vCPUs run of {limit}"


def _needs(needs: Mapping[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{needs[name]} for {name}" for name in names)


def _by_value(lists: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The names that share each of these lists, by that list in words."""
    shared: dict[str, list[str]] = {}
    for name, values in lists.items():
        shared.setdefault(", ".join(values), []).append(name)
    return shared


def _network(seen: Seen, settings: Settings) -> Finding:
    assert not isinstance(seen.subnets, Failure)
    named = ", ".join(f"{one.id} in {one.zone}" for one in seen.subnets)
    public = settings.via == VIA_PUBLIC
    others = ", ".join(one.id for one in seen.subnets if one.public is not public)
    asked = f"; {'a' if public else 'no'} public address is asked for in {others}" if others else ""
    return ok("network", f"{seen.subnets[0].vpc}: {named}{asked}")


def _route(seen: Seen, settings: Settings) -> Finding:
    assert not isinstance(seen.ways, Failure)
    if settings.via != VIA_PUBLIC:
        return ok("route", f"none in from the internet is needed with via: {settings.via}")
    closed = closed_subnets(seen.ways)
    if closed is None:
        return ok("route", "each subnet has a way in from the internet")
    none = all(way in ("", "nat") for way in seen.ways.values())
    return of_failure("route", closed, Level.MEND if none else Level.WARNING)


def _group(seen: Seen, settings: Settings, port: int) -> Finding:
    group, name = seen.group, "security group"
    networks = () if isinstance(seen.address, Failure) else seen.address
    address = ", ".join(networks) or None
    if group is None or isinstance(group, Failure):
        return _no_group(settings, address)
    own = group["GroupName"] == own_group_name(settings.key_name)
    if opened := open_door(group, port, settings.region):
        return of_failure(name, opened, Level.WARNING)
    if not own and networks and (closed := shut_out(group, networks, port, settings.region)):
        return of_failure(name, closed)
    return ok(name, f"`{group['GroupName']}`" + (f", opened to {address} as it is needed" if own else ""))


def _no_group(settings: Settings, address: str | None) -> Finding:
    if settings.security_group:
        text = f"there is no `{settings.security_group}`"
        hint = f"`aws ec2 describe-security-groups --region {settings.region}` lists them"
        return Finding(name="security group", level=Level.MEND, text=text, hint=hint)
    if not settings.create_security_group:
        text = f"there is no `{SHARED_GROUP}`, and none may be made"
        hint = "create_security_group: true; or your administrator: `ec2tasks admin.setup --network CIDR`"
        return Finding(name="security group", level=Level.MEND, text=text, hint=hint)
    own = own_group_name(settings.key_name)
    return ok("security group", f"`{own}` will be made, open to {address or 'this machine'} alone")


def seen_prices(seen: Seen, told: Told, settings: Settings) -> list[Price]:
    """What each type would cost in each zone that it is asked for in, in that order."""
    to_try = [] if isinstance(seen.to_try, Failure) else seen.to_try
    places: Sequence[tuple[str, str]] = [(one.instance_type, one.subnet.zone) for one in to_try]
    image = None if isinstance(seen.image, Failure) else seen.image
    disk_gb, public = image.total_gb(settings.disk_gb) if image else 0, settings.via == VIA_PUBLIC
    return [
        price_of(told.rates, name, zone=zone, spot=settings.spot, disk_gb=disk_gb, public=public)
        for name, zone in places or [(name, "") for name in settings.instance_type]
    ]


def _price(seen: Seen, told: Told, settings: Settings) -> Finding:
    text = offer_text(seen_prices(seen, told, settings))
    if told.refused:
        text = f"{text}; {told.refused.what}"
        return Finding(name="price", level=Level.WARNING, text=text, hint=told.refused.hint)
    return ok("price", text)
