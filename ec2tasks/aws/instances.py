"""An EC2 instance as AWS describes it: its tags and states, and which one is the project's."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code
from ec2tasks.aws.prices import amount, cost
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError
from ec2tasks.config.settings import Settings
from ec2tasks.config.way import VIA_PUBLIC

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

OWNER_TAG = "ec2tasks:owner"
PROJECT_TAG = "ec2tasks:project"
USER_TAG = "ec2tasks:user"
PRICE_TAG = "ec2tasks:price"
DISK_PRICE_TAG = "ec2tasks:disk-price"
FETCHED_TAG = "ec2tasks:fetched"
# The states that AWS knows, by what they mean here.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
UP = ("pending", "running")  # it runs, or soon will, and costs
HALTED = ("stopping", "stopped")  # its disk stays, and it can be started again
GONE = ("shutting-down", "terminated")  # nothing of it stays
ALIVE = (*UP, *HALTED)
# "User initiated (2026-11-22 11:02:03 GMT)"
STOP_TIME = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance as AWS describes it.

    `launched` is when it last started; `fetched` whether everything on it had been fetched when it stopped
    after that; `stopped` when it was stopped, where AWS tells; `token` that of the launch;
    `image` the id of its image; `reason_code` and `reason` why it is in its state. `price` is what it costs
    an hour as it runs, in dollars, `disk_price` what its disk goes on costing while it is stopped.
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
    reason_code: str = ""
    subnet: str = ""
    vpc: str = ""
    disk_price: float | None = None
    private_address: str = ""

    @property
    def where(self) -> str:
        """The instance for a message: name, id, type, zone."""
        return f"{self.name} ({self.id}, {self.type}, {self.zone})"

    def address_by(self, via: str) -> str | None:
        """The address at which it is reached by this setting `via`; None where it has none."""
        return self.address if via == VIA_PUBLIC else self.private_address or None

    def cost_until(self, moment: datetime) -> float | None:
        """Dollars since the last start, None where the price is not known or nothing runs."""
        return cost(self.price, self.launched, moment) if self.state in UP else None


def from_description(description: InstanceTypeDef) -> Instance:
    """The Instance that one item of DescribeInstances' or RunInstances' answer tells of.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    """
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in description.get("Tags", [])}
    return Instance(
        id=description["InstanceId"],
        name=tags.get("Name", ""),
        state=description["State"]["Name"],
        type=description["InstanceType"],
        zone=description["Placement"]["AvailabilityZone"],
        address=description.get("PublicIpAddress") or None,
        user=tags.get(USER_TAG),
        owner=tags.get(OWNER_TAG, ""),
        project=tags.get(PROJECT_TAG),
        launched=description["LaunchTime"],
        spot=description.get("InstanceLifecycle") == "spot",
        price=amount(tags.get(PRICE_TAG)),
        disk_price=amount(tags.get(DISK_PRICE_TAG)),
        group_ids=tuple(group["GroupId"] for group in description.get("SecurityGroups", [])),
        reason=description.get("StateReason", {}).get("Message", ""),
        fetched=tags.get(FETCHED_TAG) == description["LaunchTime"].isoformat(),
        token=description.get("ClientToken", ""),
        image=description.get("ImageId", ""),
        stopped=stop_time(description.get("StateTransitionReason", "")),
        reason_code=description.get("StateReason", {}).get("Code", ""),
        subnet=description.get("SubnetId", ""),
        vpc=description.get("VpcId", ""),
        private_address=description.get("PrivateIpAddress", ""),
    )


def stop_time(reason: str) -> datetime | None:
    """When a user stopped an instance, from AWS's StateTransitionReason; None where it stopped by itself."""
    match = STOP_TIME.search(reason)
    return datetime.fromisoformat(f"{match[1]}+00:00") if match else None


def launch_tags(settings: Settings, project_id: str) -> dict[str, str]:
    """The tags to launch an instance with.

    Those of ec2tasks come last, so that no setting can hide an instance from it.
    """
    return {
        **settings.tags,
        "Name": settings.name,
        "User": getpass.getuser(),
        "Hostname": socket.gethostname(),
        "Trigram": settings.key_name,
        OWNER_TAG: settings.key_name,
        PROJECT_TAG: project_id,
    }


def list_instances(
    aws: Aws, *, owner: str, name: str | None = None, states: Iterable[str] = ALIVE
) -> list[Instance]:
    """The user's instances in this region, of one name or all, oldest first.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{OWNER_TAG}", "Values": [owner]},
        {"Name": "instance-state-name", "Values": list(states)},
    ]
    if name:
        filters.append({"Name": "tag:Name", "Values": [name]})
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = [
        from_description(description)
        for page in pages
        for reservation in page["Reservations"]
        for description in reservation["Instances"]
    ]
    return sorted(instances, key=lambda instance: instance.launched)


def describe_instance(aws: Aws, instance_id: str) -> Instance | None:
    """The instance of this id as it is now, in whatever state; None where AWS shows none.

    One that this call has just launched is as the launch told of it, as far as AWS does not show it yet.
    """
    launched: Any = aws.made.instance(instance_id)
    try:
        answer = aws.ec2.describe_instances(InstanceIds=[instance_id])
    except Exception as error:
        if error_code(error) != "InvalidInstanceID.NotFound":
            raise
        return from_description(launched) if launched else None
    instances = [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]
    described = instances[0] if instances else launched
    if launched and not described.get("Tags"):
        described = {**described, "Tags": launched.get("Tags", [])}
    return from_description(described) if described else None


def choose_instance(
    instances: Sequence[Instance], *, name: str, identities: Collection[str], name_given: bool
) -> Instance | None:
    """The project's instance among those of its name; the project may be known by several `identities`.

    Raises UsageError where there are several, or where the only one is another project's that merely
    has the same folder name; a name given by the user is taken at its word.
    """
    if len(instances) > 1:
        words = ", ".join(f"{instance.id} ({instance.state})" for instance in instances)
        raise UsageError(
            f"{len(instances)} instances are named `{name}`: {words}",
            hint="`ec2tasks reap` ends one that nobody ever got on, `aws ec2 terminate-instances"
            " --instance-ids ID` any other; --name tells yours apart",
        )
    if instances and not name_given and instances[0].project not in (None, *identities):
        raise UsageError(
            f"instance `{name}` ({instances[0].id}) belongs to another project of the same folder name",
            hint=f"--name {name}-2 (or name: in ec2.yaml) for one of its own; --name {name} to share it",
        )
    return instances[0] if instances else None


def is_duplicate(instance: Instance, instances: Sequence[Instance]) -> bool:
    """Whether this instance is to be ended, as two clients launched one of this name at the same moment.

    All but the eldest are, by AWS's times, so that every client comes to the same answer.
    """
    return any((other.launched, other.id) < (instance.launched, instance.id) for other in instances)
