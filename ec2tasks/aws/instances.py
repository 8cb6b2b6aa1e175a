"""The project's instance: found by its tags, brought to life, and ended."""

from __future__ import annotations

import getpass
import re
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, error_text, warn_if_denied
from ec2tasks.aws.prices import cost
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.config.settings import Settings

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

OWNER_TAG = "ec2tasks:owner"
PROJECT_TAG = "ec2tasks:project"
USER_TAG = "ec2tasks:user"
PRICE_TAG = "ec2tasks:price"
FETCHED_TAG = "ec2tasks:fetched"
END_TRIES = 30  # a second apart
NOT_NOW = ("InvalidInstanceID.NotFound", "IncorrectInstanceState")
# The states that AWS knows, by what they mean here.
UP = ("pending", "running")  # it runs, or soon will, and costs
HALTED = ("stopping", "stopped")  # its disk stays, and it can be started again
GONE = ("shutting-down", "terminated")  # nothing of it stays
ALIVE = (*UP, *HALTED)
DONE = {"leave": (), "stop": (*HALTED, *GONE), "terminate": GONE}  # the states an end of life leads to
ADDRESS_PATIENCE = 30  # looks, a second apart, at a running instance that shows no address
# "User initiated (2026-11-22 11:02:03 GMT)"
STOP_TIME = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
CHANGE_LIMIT = 600.0  # seconds that AWS may take to stop or start an instance before we say so


class Step(Enum):
    """What the state of the project's instance asks for; the values are the lines shown."""

    LAUNCH = "no instance yet: launching one"
    START = "stopped: starting it"
    WAIT = "changing its state: waiting"
    USE = "running"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance as AWS describes it.

    `launched` is when it last started; `fetched` whether everything on it had been fetched when it stopped
    after that; `stopped` when it was stopped, where AWS tells; `token` that of the launch;
    `image` the id of its image.
    """

    id: str
    name: str
    state: str
    type: str
    zone: str
    address: str | None
    user: str | None
    owner: str
    project: str | None
    launched: datetime
    spot: bool
    price: float | None
    group_ids: tuple[str, ...]
    reason: str
    fetched: bool
    token: str = ""
    image: str = ""
    stopped: datetime | None = None

    @property
    def where(self) -> str:
        """The instance in a few words."""
        return f"{self.name} ({self.id}, {self.type}, {self.zone})"

    def cost_until(self, moment: datetime) -> float | None:
        """Dollars since the last start, None where the price is not known or nothing runs."""
        return cost(self.price, self.launched, moment) if self.state in UP else None


def from_description(found: InstanceTypeDef) -> Instance:
    """An instance from AWS's description of it."""
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in found.get("Tags", [])}
    return Instance(
        id=found["InstanceId"],
        name=tags.get("Name", ""),
        state=found["State"]["Name"],
        type=found["InstanceType"],
        zone=found["Placement"]["AvailabilityZone"],
        address=found.get("PublicIpAddress") or None,
        user=tags.get(USER_TAG),
        owner=tags.get(OWNER_TAG, ""),
        project=tags.get(PROJECT_TAG),
        launched=found["LaunchTime"],
        spot=found.get("InstanceLifecycle") == "spot",
        price=float(tags[PRICE_TAG]) if PRICE_TAG in tags else None,
        group_ids=tuple(group["GroupId"] for group in found.get("SecurityGroups", [])),
        reason=found.get("StateReason", {}).get("Message", ""),
        fetched=tags.get(FETCHED_TAG) == found["LaunchTime"].isoformat(),
        token=found.get("ClientToken", ""),
        image=found.get("ImageId", ""),
        stopped=stop_time(found.get("StateTransitionReason", "")),
    )


def stop_time(reason: str) -> datetime | None:
    """When a user stopped an instance: AWS gives no time for one that stopped by itself."""
    said = STOP_TIME.search(reason)
    return datetime.fromisoformat(f"{said[1]}+00:00") if said else None


def launch_tags(settings: Settings, project_id: str) -> dict[str, str]:
    """The tags of a launch. Those of ec2tasks come last, so that no setting can hide an instance from it."""
    return {
        **settings.tags,
        "Name": settings.name,
        "User": getpass.getuser(),
        "Hostname": socket.gethostname(),
        "Trigram": settings.key_name,
        OWNER_TAG: settings.key_name,
        PROJECT_TAG: project_id,
    }


def filters(*, owner: str, name: str | None, states: Iterable[str]) -> list[FilterTypeDef]:
    """The filters that find a user's instances, of one name or all."""
    found: list[FilterTypeDef] = [
        {"Name": f"tag:{OWNER_TAG}", "Values": [owner]},
        {"Name": "instance-state-name", "Values": list(states)},
    ]
    return [*found, {"Name": "tag:Name", "Values": [name]}] if name else found


def list_instances(
    aws: Aws, *, owner: str, name: str | None = None, states: Iterable[str] = ALIVE
) -> list[Instance]:
    """The user's instances in this region, of one name or all, oldest first."""
    pages = aws.ec2.get_paginator("describe_instances").paginate(
        Filters=filters(owner=owner, name=name, states=states)
    )
    found = [
        from_description(one)
        for page in pages
        for reservation in page["Reservations"]
        for one in reservation["Instances"]
    ]
    return sorted(found, key=lambda one: one.launched)


def choose(
    found: Sequence[Instance], *, name: str, identities: Collection[str], name_given: bool
) -> Instance | None:
    """The project's instance among those of its name; the project may be known by several `identities`.

    Raises UsageError where there are several, or where the only one is another project's that merely
    has the same folder name; a name given by the user is taken at its word.
    """
    if len(found) > 1:
        words = ", ".join(f"{one.id} ({one.state})" for one in found)
        raise UsageError(
            f"{len(found)} instances are named `{name}`: {words}",
            hint="`ec2tasks reap` ends one that nobody ever got on, `aws ec2 terminate-instances"
            " --instance-ids ID` any other; --name tells yours apart",
        )
    if found and not name_given and found[0].project not in (None, *identities):
        raise UsageError(
            f"instance `{name}` ({found[0].id}) belongs to another project of the same folder name",
            hint=f"--name {name}-2 (or name: in ec2.yaml) for one of its own; --name {name} to share it",
        )
    return found[0] if found else None


def gives_way(one: Instance, found: Sequence[Instance]) -> bool:
    """Whether of several of one name this one is to go, where two clients launched at once.

    All but the eldest are, by AWS's times, so that every client comes to the same answer.
    """
    return any((other.launched, other.id) < (one.launched, one.id) for other in found)


def next_step(instance: Instance | None) -> Step:
    """What the instance needs before it takes commands."""
    if instance is None:
        return Step.LAUNCH
    if instance.state == "stopped":
        return Step.START
    if instance.state == "running" and instance.address:
        return Step.USE
    return Step.WAIT


def bring_up(
    *,
    observe: Callable[[], Instance | None],
    launch: Callable[[], Instance],
    start: Callable[[Instance], None],
    watch: Callable[[str], Instance | None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Instance:
    """Observe, decide, act, until the instance runs. Raises Failure when it ends or takes too long."""
    deadline = clock() + CHANGE_LIMIT
    said, mine, hidden = None, None, 0
    while clock() < deadline:
        instance = observe()
        hidden = hidden + 1 if instance and instance.state == "running" and not instance.address else 0
        if instance and hidden > ADDRESS_PATIENCE:
            raise _no_address(instance)
        if instance and mine and instance.id != mine.id:
            mine = None  # it gave way to an older one
        if instance is None and mine:
            # For some seconds after a launch, AWS's lists do not show it yet.
            instance = still_alive(watch(mine.id) or mine)
        step = next_step(instance)
        if instance and step is not Step.LAUNCH and step is not said:
            output.step(f"{instance.where}: {step.value}")
        said = step
        if step is Step.USE and instance:
            return instance
        if step is Step.LAUNCH:
            mine = launch()
        elif step is Step.START and instance:
            start(instance)
        sleep(1)
    raise Failure(
        f"the instance is still not running after {CHANGE_LIMIT:.0f} s",
        hint="`ec2tasks status` shows its state, `ec2tasks down` ends it",
    )


def _no_address(instance: Instance) -> Failure:
    return Failure(
        f"{instance.where} runs, but its subnet gave it no public address",
        hint="subnet: one that assigns public addresses (`aws ec2 modify-subnet-attribute"
        " --map-public-ip-on-launch --subnet-id SUBNET` makes it do so)",
    )


def still_alive(instance: Instance) -> Instance:
    """The same instance. Raises Failure where it has ended, with AWS's reason."""
    if instance.state not in ALIVE:
        raise Failure(f"{instance.where} ended while it started: {instance.reason or 'AWS gives no reason'}")
    return instance


def start(aws: Aws, instance: Instance) -> None:
    """Start a stopped instance. Raises Failure where AWS has no room for it now."""
    try:
        aws.start_instance(instance.id)
    except Exception as error:
        code = error_code(error)
        if code == "IncorrectInstanceState":  # another client was quicker
            return
        if code != "InsufficientInstanceCapacity":
            raise
        raise Failure(
            f"AWS can't start {instance.where} now: {error_text(error)}",
            hint="try again later: nothing on its disk is lost. "
            + (
                "What it holds is here: `ec2tasks down` ends it, the next run launches where there is room"
                if instance.fetched
                else "--name another-name runs on a new one meanwhile"
            ),
        ) from error


def watch(aws: Aws, instance_id: str) -> Instance | None:
    """One instance as it is now, None where AWS no longer shows it."""
    try:
        answer = aws.ec2.describe_instances(InstanceIds=[instance_id])
    except Exception as error:
        if error_code(error) != "InvalidInstanceID.NotFound":
            raise
        return None
    found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
    return from_description(found[0]) if found else None


def end(
    aws: Aws,
    instance: Instance,
    final_state: str,
    *,
    fetched: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Stop or terminate an instance; `leave` leaves it. An instance that is gone already is no error.

    A stopped one whose results were `fetched` is tagged with its last start, so that it can be terminated
    without starting it again to look. AWS may not know an instance yet that it has just launched, and does
    not stop one that is still starting: both are asked again.
    """
    for tries_left in range(END_TRIES, -1, -1):
        try:
            _ask_to_end(aws, instance, final_state)
            break
        except Exception as error:
            if error_code(error) not in NOT_NOW or tries_left == 0:
                raise
            now = watch(aws, instance.id)
            if now and now.state in DONE[final_state]:
                break
            sleep(1)
    if final_state == "stop" and fetched:
        _mark_fetched(aws, instance)


def _ask_to_end(aws: Aws, instance: Instance, final_state: str) -> None:
    if final_state == "terminate":
        aws.ec2.terminate_instances(InstanceIds=[instance.id])
    elif final_state == "stop":
        aws.ec2.stop_instances(InstanceIds=[instance.id])


def _mark_fetched(aws: Aws, instance: Instance) -> None:
    """Without the right to, the instance has stopped all the same."""
    tag = {"Key": FETCHED_TAG, "Value": instance.launched.isoformat()}
    try:
        aws.ec2.create_tags(Resources=[instance.id], Tags=[tag])  # type: ignore[list-item]
    except Exception as error:
        if not warn_if_denied(error, "`down` will start it again to look for results"):
            raise
