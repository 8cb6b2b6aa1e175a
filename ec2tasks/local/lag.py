"""What was made a moment ago is not there yet (the fault `lag`): moto answers with it out of sight.

AWS's API is eventually consistent: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from ec2tasks.local.answers import Call
from ec2tasks.local.faults import FaultFile
from ec2tasks.local.keys import ACCOUNT

# What a call makes, it knows itself; so does IAM show an instance profile before EC2 knows it.
SEEN_BY = {
    "CreateSecurityGroup": ("security-group", "tags"),
    "ImportKeyPair": ("key-pair", "tags"),
    "CreateKeyPair": ("key-pair", "tags"),
    "CreateInstanceProfile": ("instance-profile",),
    "GetInstanceProfile": ("instance-profile",),
    "ListInstanceProfiles": ("instance-profile",),
    "RunInstances": ("instance", "tags"),
}


class Thing(NamedTuple):
    """Something in the account that can be made: its kind, and where moto keeps it."""

    kind: str
    region: str
    name: str
    key: str = ""


class Lag:
    """Which things are too young to be seen, by when each was first there after a call."""

    def __init__(self, faults: FaultFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._faults = faults
        self._clock = clock
        self._made: dict[Thing, float] = {}

    @property
    def is_asked_for(self) -> bool:
        """Whether there is a lag now."""
        return bool(self._faults.current().lag)

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """While inside, what is too young is not there, but for the call that makes such things."""
        if not self.is_asked_for:
            self._made.clear()
            yield
            return
        before = things()
        with ExitStack() as hidden:
            for thing in self._young(SEEN_BY.get(call.action, ())):
                if thing in before:
                    hidden.enter_context(_out_of_sight(thing))
            yield
        self._made |= dict.fromkeys(things() - before, self._clock())

    def _young(self, seen: tuple[str, ...]) -> list[Thing]:
        seconds, now = self._faults.current().lag, self._clock()
        return [
            thing
            for thing, made in self._made.items()
            if thing.kind not in seen and now - made < seconds.get(thing.kind, 0)
        ]


def things() -> set[Thing]:
    """All that the account holds and that could be hidden."""
    found = {Thing("instance-profile", "", name) for name in iam_backends[ACCOUNT]["aws"].instance_profiles}
    for region in list(ec2_backends[ACCOUNT]):
        backend = ec2_backends[ACCOUNT][region]
        found |= {Thing("key-pair", region, name) for name in backend.key_pairs}
        found |= {
            Thing("security-group", region, group_id, vpc or "")
            for vpc, groups in backend.groups.items()
            for group_id in groups
        }
        found |= {Thing("instance", region, name) for name in backend.reservations}
        found |= {
            Thing("tags", region, resource, key) for resource, tags in backend.tags.items() for key in tags
        }
    return found


@contextmanager
def _out_of_sight(thing: Thing) -> Iterator[None]:
    kept, key = _where(thing)
    value = kept.pop(key)
    try:
        yield
    finally:
        kept[key] = value


def _where(thing: Thing) -> tuple[dict[Any, Any], str]:
    """The dictionary of moto's that holds a thing, and its key there."""
    if thing.kind == "instance-profile":
        return iam_backends[ACCOUNT]["aws"].instance_profiles, thing.name
    backend = ec2_backends[ACCOUNT][thing.region]
    if thing.kind == "security-group":
        return backend.groups[thing.key or None], thing.name  # type: ignore[index]
    if thing.kind == "tags":
        return backend.tags[thing.name], thing.key
    return backend.key_pairs if thing.kind == "key-pair" else backend.reservations, thing.name
