"""What the looking tasks print with `--json`, as types: what builds an answer is held to its type.

Imported for types alone, and by what makes their JSON Schema (`cli/answers.py`).
"""

from __future__ import annotations

from typing import Any, TypedDict


class InstanceAnswer(TypedDict):
    """An instance: times in ISO 8601, prices in dollars an hour, the cost in dollars since its start."""

    kind: str
    name: str
    id: str
    state: str
    type: str
    zone: str
    address: str | None
    user: str | None
    spot: bool
    started: str
    stopped: str | None
    age_seconds: int | None
    price_per_hour: float | None
    price_per_hour_stopped: float | None
    cost: float | None


class ForgottenAnswer(InstanceAnswer):
    """An instance that was forgotten; whether `reap` ends it, and why or why not."""

    region: str
    ends: bool
    why: str


class JobAnswer(TypedDict):
    """A job: its state is running, ended or lost; times in ISO 8601, UTC; a shell has no command."""

    job: str
    command: str | None
    state: str
    code: int | None
    started: str
    ended: str | None
    multi: str
    final_state: str


class PortAnswer(TypedDict):
    """A port that the instance listens on: by which program and job, and where it is open here.

    With no `port`, a forward that leads elsewhere, or to nothing that listens, as ssh was given it.
    """

    port: int | None
    program: str | None
    job: str | None
    here: list[str]
    forward: str | None


class ChangeAnswer(TypedDict):
    """What a sync would do with a path, and why; the size of what moves in bytes."""

    path: str
    outcome: str
    reason: str
    bytes: int


class EnvironmentAnswer(TypedDict):
    """Which environment a run takes: the hash of one that is built for it; its source; all in words."""

    environment: str | None
    source: str
    why: str
    outlook: list[str]


class SettingAnswer(TypedDict):
    """A setting: its value, and where that came from."""

    value: Any
    source: str


class ReportAnswer(TypedDict):
    """Where the page is, and which jobs it is about."""

    file: str
    jobs: list[str]
