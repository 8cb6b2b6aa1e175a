"""One run as the ledger tells it: what its lines say, taken in the form that they have or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, field, fields
from datetime import datetime
from typing import Any

from ec2tasks.base.dataclass import dataclass
from ec2tasks.records.ledger import FIRST, LAST, TEXT_LIMIT, as_json
from ec2tasks.remote.job_name import asked_at, title_of
from ec2tasks.remote.protocol import JOB_ID

# How far a run is known to have come: `begun` is the last word of a client that was killed, or is there yet.
STATES = ("begun", "left", "ended", "failed", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: when, what, on which machine, at what cost, how it ended.

    `phases` in seconds; `cost` in dollars, of `endpoint: local` what it would have been; `code` its exit
    code. `clean`: all of the project was committed as `commit`, None where that is not known. `recipe`: the
    target of the Makefile, `sweep` the sweep that it belongs to. `machine`: the instance's name, `launched`
    and `started` by this run. `released`: what became of the instance. `environment`: the hash of what the
    project's files let the instance install for it. `use`: what it took of its machine. `error`: why ec2tasks
    failed.
    """

    job: str
    state: str
    began: datetime
    ended: datetime | None = None
    command: str | None = None
    recipe: str = ""
    sweep: str = ""
    commit: str | None = None
    clean: bool | None = None
    endpoint: str = "aws"
    region: str = ""
    zone: str = ""
    type: str = ""
    image: str = ""
    instance: str = ""
    machine: str = ""
    launched: bool = False
    started: bool = False
    spot: bool = False
    environment: str | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    code: int | None = None
    cost: float | None = None
    use: Mapping[str, object] | None = None
    released: str | None = None
    error: str | None = None

    @property
    def title(self) -> str:
        """What ran, in one line."""
        return title_of(self.command)

    @property
    def seconds(self) -> float | None:
        """How long the command itself ran, in seconds; None where that is not known."""
        return self.phases.get("ran")


def _word(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_LIMIT + 1:
        raise ValueError(value)
    return value


def _job(value: object) -> str:
    if not JOB_ID.fullmatch(_word(value)):
        raise ValueError(value)
    return _word(value)


def _state(value: object) -> str:
    if value not in STATES:
        raise ValueError(value)
    return _word(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        raise ValueError(value)
    return value


def _amount(value: object) -> float:
    if _number(value) < 0:
        raise ValueError(value)
    return _number(value)


def _code(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= 255:
        raise ValueError(value)
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_word(value))
    if moment.tzinfo is None or not FIRST <= moment <= LAST:
        raise ValueError(value)
    return moment


def _phases(value: object) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > 20:
        raise ValueError(value)
    return {_word(name): _amount(seconds) for name, seconds in value.items()}


def _use(value: object) -> dict[str, object]:
    """A summary of samples: names with numbers, words, or such by name."""
    if not isinstance(value, dict) or len(value) > 50:
        raise ValueError(value)
    return {_word(name): _plain(inner) for name, inner in value.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list) and len(value) <= 500:
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return _use(value)
    return _word(value) if isinstance(value, str) else _number(value)


READERS: dict[str, Callable[[object], Any]] = {
    **{each.name: _word for each in fields(Run)},
    "job": _job,
    "state": _state,
    "began": _moment,
    "ended": _moment,
    "clean": _flag,
    **dict.fromkeys(("launched", "started", "spot"), _flag),
    "phases": _phases,
    "code": _code,
    "cost": _amount,
    "use": _use,
}


def read_line(values: object) -> dict[str, Any]:
    """What a line of the ledger says, without what is not known. Raises ValueError where it is broken."""
    if not isinstance(values, dict):
        raise ValueError("no object")
    said = {
        name: READERS[name](value) for name, value in values.items() if name in READERS and value is not None
    }
    if "job" not in said or "state" not in said:
        raise ValueError("it names no job")
    return said


def fold(lines: Iterable[Mapping[str, Any]]) -> list[Run]:
    """The runs that these lines tell of, the newest first: of one job, each later word wins.

    When it began is told best by the first line.
    """
    jobs: dict[str, dict[str, Any]] = {}
    for line in lines:
        known = jobs.setdefault(line["job"], {})
        known.update(
            line,
            began=known.get("began") or line.get("began") or began_by_id(line["job"]),
            phases={**known.get("phases", {}), **line.get("phases", {})},
        )
    runs = [Run(**values) for values in jobs.values() if values["began"]]
    return sorted(runs, key=lambda run: (run.began, run.job), reverse=True)


def began_by_id(job_id: str) -> datetime | None:
    """When a job was asked for, as its id tells; None for an id of another form."""
    moment = asked_at(job_id)
    return moment if moment and FIRST <= moment <= LAST else None


def run_json(run: Run) -> dict[str, object]:
    """A run as JSON can hold it: times in ISO 8601, UTC; phases in seconds; the cost in dollars."""
    return {name: as_json(value) for name, value in asdict(run).items()}
