"""What a run would take: type, price, quota, files to push, and how long the last runs took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TypedDict

from ec2tasks.aws.examine import Seen, examine, identity
from ec2tasks.aws.prices import Price, dollars
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.commands.check import running_instance
from ec2tasks.commands.findings import Level, findings, seen_prices
from ec2tasks.commands.preflight import check_push
from ec2tasks.commands.runs import read_ledger
from ec2tasks.config.parsers import duration
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.pricing import Told, ask_rates
from ec2tasks.records.run import Run
from ec2tasks.sync.entries import Entry, total_size
from ec2tasks.sync.progress import biggest, size_text
from ec2tasks.sync.push import files_to_push

PATIENCE = 20.0  # seconds that prices are waited for
SHOWN = ("type", "image", "disk", "quota", "price")
COMMANDS = 5  # how many different ones are told of
OF_EACH = 3  # how many runs of each


@dataclass(frozen=True, kw_only=True)
class Past:
    """How long the last runs of one command took, in seconds, the newest first, and what each cost."""

    command: str
    seconds: tuple[float, ...]
    costs: tuple[float | None, ...]

    def line(self, hourly: float | None) -> str:
        """That in words, with what as long a run would cost at this price."""
        took = ", ".join(duration(one) for one in self.seconds)
        again = f"; as long again costs {dollars(hourly * self.seconds[0] / 3600)}" if hourly else ""
        return f"`{self.command}` took {took}{again}"


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a run would take, and what was looked at for it; `running`: the instance that it would find up."""

    context: CallContext
    seen: Seen
    told: Told
    files: Mapping[str, Entry]
    past: Sequence[Past]
    running: str = ""

    @property
    def prices(self) -> list[Price]:
        """What each type would cost in each zone that it is asked for in."""
        return seen_prices(self.seen, self.told, self.context.settings)


def quote(context: CallContext) -> Quote:
    """Look at all of it, and change nothing. Raises UsageError or Failure where nothing can be told."""
    context.aws.check_region()
    check_push(context)
    who = identity(context.aws)  # before all else: it may ask for a code
    told = ask_rates(context, patience=PATIENCE)
    seen = examine(context.aws, context.settings, who)
    root = context.project.root
    past = past_runs(read_ledger(root).runs)
    files, running = files_to_push(root, context.tools), running_instance(context)
    return Quote(context=context, seen=seen, told=told(), files=files, past=past, running=running)


def past_runs(runs: Sequence[Run]) -> list[Past]:
    """The last runs that are known to have come to their end, by command, the newest first."""
    by_command: dict[str, list[Run]] = {}
    for run in runs:
        if run.state == "ended" and run.seconds is not None:
            by_command.setdefault(run.title, []).append(run)
    return [
        Past(
            command=command,
            seconds=tuple(run.seconds or 0.0 for run in of_it[:OF_EACH]),
            costs=tuple(run.cost for run in of_it[:OF_EACH]),
        )
        for command, of_it in list(by_command.items())[:COMMANDS]
    ]


def show(found: Quote) -> None:
    """Print it, a line for each thing, with what to type where something is not well."""
    context = found.context
    port = context.aws.endpoint.ssh_port
    for one in findings(
        found.seen, found.told, context.settings, port=port, has_key=True, running=found.running
    ):
        if one.name in SHOWN:
            output.data(f"  {one.text}", label=f"{one.name:6}")
            if one.level is not Level.OK and one.hint:
                output.hint(one.hint)
    output.data(f"  to ~/{context.settings.remote_dir}: {push_text(found.files)}", label="push  ")
    hourly = found.prices[0].hourly if found.prices else None
    for past in found.past:
        output.data(f"  {past.line(hourly)}", label="runs  ")
    if not found.past:
        output.data("  none has ended here yet", label="runs  ")


def push_text(files: Mapping[str, Entry]) -> str:
    """How much would be pushed to an empty folder, and what makes up most of it."""
    named = ", ".join(f"{name} ({size_text(size)})" for name, size in biggest(files))
    total = f"{len(files)} files, {size_text(total_size(files))}"
    return f"{total}; the biggest: {named}" if named else total


class PriceAnswer(TypedDict):
    """What a type would cost in a zone, in dollars an hour; None: not known. `stopped`: its disk."""

    type: str
    zone: str
    spot: bool
    instance: float | None
    disk: float
    address: float
    hourly: float | None
    stopped: float
    source: str
    day: str


class QuotaAnswer(TypedDict):
    """The quota of vCPUs that a type counts against; `limit` None where AWS does not tell."""

    type: str
    name: str
    code: str
    limit: float | None
    used: int


class SizeAnswer(TypedDict):
    """A file or folder and its bytes."""

    name: str
    bytes: int


class PushAnswer(TypedDict):
    """What would be pushed to an empty folder."""

    files: int
    bytes: int
    biggest: list[SizeAnswer]


class QuoteAnswer(TypedDict):
    """What a run would take."""

    region: str
    prices: list[PriceAnswer]
    quota: list[QuotaAnswer]
    push: PushAnswer
    runs: list[Past]


def quote_json(found: Quote) -> dict[str, object]:
    """The same as JSON can hold it, as QuoteAnswer tells it."""
    usage = {} if isinstance(found.seen.usage, Failure) else found.seen.usage
    quota: list[QuotaAnswer] = [
        {"type": name, "name": one.quota.name, "code": one.quota.code, "limit": one.limit, "used": one.used}
        for name, one in usage.items()
    ]
    sizes: list[SizeAnswer] = [{"name": name, "bytes": size} for name, size in biggest(found.files)]
    push: PushAnswer = {"files": len(found.files), "bytes": total_size(found.files), "biggest": sizes}
    return {
        "region": found.context.settings.region,
        "prices": [_price_json(price) for price in found.prices],
        "quota": quota,
        "push": push,
        "runs": [asdict(past) for past in found.past],
    }


def _price_json(price: Price) -> PriceAnswer:
    return {
        "type": price.instance_type,
        "zone": price.zone,
        "spot": price.spot,
        "instance": price.instance,
        "disk": round(price.disk, 6),
        "address": price.address,
        "hourly": None if price.hourly is None else round(price.hourly, 6),
        "stopped": round(price.stopped, 6),
        "source": price.source,
        "day": price.day,
    }
