"""What `status` and `ls` tell of an instance, as lines and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ec2tasks.aws.instances import HALTED, UP, Instance
from ec2tasks.aws.prices import dollars
from ec2tasks.base.final_state import FinalState
from ec2tasks.config.parsers import duration
from ec2tasks.remote.guard_status import STALLED, GuardStatus

if TYPE_CHECKING:
    from ec2tasks.base.answers import InstanceAnswer

BY_ITSELF = "Instance initiated shutdown"
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
REASONS = {
    "UserInitiated": "it was stopped on request: by ec2tasks, or in AWS's console",
    "SpotInstance": "AWS took it back: it ran at the spot price",
    "InternalError": "AWS stopped it for an error of its own",
}


def status_lines(instance: Instance, guard: GuardStatus | None, last_words: str | None = None) -> list[str]:
    """The lines below the table of `status`: who is on the instance, why it will end or has stopped."""
    if instance.state == "running":
        return _lines_of_running(guard)
    if instance.state in HALTED and BY_ITSELF in instance.reason:
        return [f"it stopped itself{f': {last_words}' if last_words else ', or was shut down from inside'}"]
    if instance.state in HALTED:
        known = next((text for code, text in REASONS.items() if code in instance.reason), None)
        return [known or f"stopped: {instance.reason}"] if instance.reason else []
    return []


def _lines_of_running(guard: GuardStatus | None) -> list[str]:
    if guard is None:
        return ["its guard could not be asked when it will end"]
    verb = "terminates itself" if guard.end is FinalState.TERMINATE else "stops itself"
    if guard.ends_in is None:
        return [guard.reason, f"it does not end by itself as things stand: {guard.because}"]
    why, _, since = guard.because.partition(":")
    lines = [guard.reason, f"it {verb} in {duration(guard.ends_in)} ({why})"]
    if guard.because.startswith(STALLED):
        lines.append(f"{since.strip()}: no output, no changed file, processors and GPUs idle")
    return lines


def price_cell(instance: Instance) -> str:
    """What an instance costs an hour as it is now: as it runs, or its disk alone."""
    price = instance.price if instance.state in UP else instance.disk_price
    return f"{dollars(price)}/h" if price else "not known"


def guard_json(guard: GuardStatus | None, lines: list[str]) -> dict[str, object]:
    """The guard's status and these lines as JSON can hold them."""
    return {"guard": {**asdict(guard), "end": guard.end.value} if guard else None, "outlook": lines}


def instance_json(instance: Instance, *, now: datetime | None = None) -> InstanceAnswer:
    """An instance as JSON can hold it; times in ISO 8601, the cost in dollars since the start."""
    moment = now or datetime.now(timezone.utc)
    spent, runs = instance.cost_until(moment), instance.state in UP
    return {
        "kind": "instance",
        "name": instance.name,
        "id": instance.id,
        "state": instance.state,
        "type": instance.type,
        "zone": instance.zone,
        "address": instance.address or instance.private_address or None,
        "user": instance.user,
        "spot": instance.spot,
        "started": instance.launched.isoformat(),
        "stopped": instance.stopped.isoformat() if instance.stopped else None,
        "age_seconds": round((moment - instance.launched).total_seconds()) if runs else None,
        "price_per_hour": instance.price,
        "price_per_hour_stopped": instance.disk_price,
        "cost": None if spent is None else round(spent, 4),
    }
