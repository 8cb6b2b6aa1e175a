"""What each looking task's `--json` prints, as types, and the JSON Schema that is made of them."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from ec2tasks.base.answers import (
    ChangeAnswer,
    EnvironmentAnswer,
    ForgottenAnswer,
    InstanceAnswer,
    JobAnswer,
    PortAnswer,
    ReportAnswer,
    SettingAnswer,
)
from ec2tasks.commands.check import CheckAnswer
from ec2tasks.commands.leftovers import LeftoverAnswer
from ec2tasks.commands.quote import QuoteAnswer
from ec2tasks.config.json_schema import DRAFT
from ec2tasks.local.control import LocalStatus
from ec2tasks.records.run import Run
from ec2tasks.remote.guard_status import GuardStatus
from ec2tasks.usage.samples import Sample
from ec2tasks.usage.summary import Summary


class StatusAnswer(InstanceAnswer):
    """The project's instance; who is on it and when it will end, in figures and in words."""

    guard: GuardStatus | None
    outlook: list[str]


class UseAnswer(TypedDict):
    """What a job used of its machine: bytes, shares from 0 to 1, seconds, watts; null with no samples."""

    job: str
    use: Summary | None


# By task; where it has an option without which there is no JSON, with that.
ANSWERS: dict[str, Any] = {
    "check": CheckAnswer,
    "config": dict[str, SettingAnswer],
    "env": EnvironmentAnswer,
    "jobs": list[JobAnswer],
    "local.status": LocalStatus | None,
    "ls": list[InstanceAnswer | LeftoverAnswer],
    "ports": list[PortAnswer],
    "quote": QuoteAnswer,
    "reap": list[ForgottenAnswer | LeftoverAnswer],
    "report": ReportAnswer,
    "runs": list[Run],
    "status": StatusAnswer | None,
    "sync --diff": list[ChangeAnswer],
    "use": UseAnswer,
    "use --follow": Sample,  # a line each
}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def schema_text() -> str:
    """The JSON Schema of all answers as the text of a file."""
    schema = {
        "$schema": DRAFT,
        "title": "ec2tasks --json",
        "description": "What each task prints with --json, by its name. A later version may add properties.",
        "definitions": {task: schema_of(kind) for task, kind in sorted(ANSWERS.items())},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def schema_of(kind: Any, *, strict: bool = False) -> dict[str, Any]:
    """The JSON Schema of what a type holds, as JSON; `strict`: with no properties but those that it names."""
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if kind is datetime:
        return {"type": "string", "format": "date-time"}
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return {"enum": [each.value for each in kind]}
    if is_typeddict(kind) or is_dataclass(kind):
        return _object(kind, strict=strict)
    return _composed(kind, strict=strict)


def _composed(kind: Any, *, strict: bool) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if all(each in PLAIN for each in inner):
            return {"type": [PLAIN[each] for each in inner]}
        return {"anyOf": [schema_of(each, strict=strict) for each in inner]}
    if origin in (list, tuple):
        return {"type": "array", "items": schema_of(inner[0], strict=strict)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema_of(inner[1], strict=strict)}
    if kind in (Any, object):
        return {}
    raise TypeError(f"no form in JSON is known for {kind}")


def _object(kind: Any, *, strict: bool) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind)] if is_dataclass(kind) else list(hints)
    return {
        "type": "object",
        "description": " ".join((inspect.getdoc(kind) or "").split()),
        "properties": {name: schema_of(hints[name], strict=strict) for name in names},
        "required": names,
        **({"additionalProperties": False} if strict else {}),
    }
