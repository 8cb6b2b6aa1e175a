"""What `config` shows: each setting, its value and where that came from, or their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from ec2tasks.base import output
from ec2tasks.cli.context import make_settings
from ec2tasks.config.json_schema import schema_text
from ec2tasks.config.settings import settings_rows

if TYPE_CHECKING:
    from ec2tasks.base.answers import SettingAnswer


def show(c: Context, given: Mapping[str, Any]) -> None:
    """Print the settings of a call with these options, as a table or as JSON; or the schema of ec2.yaml."""
    if given["schema"]:
        output.document(schema_text().rstrip("\n"))
        return
    rows = settings_rows(make_settings(c, given))
    if given["json"]:
        settings: dict[str, SettingAnswer] = {
            name: {"value": value, "source": source} for name, value, source in rows
        }
        output.json(settings)
        return
    texts = [(name, _value_text(value), source) for name, value, source in rows]
    output.table([("SETTING", "VALUE", "FROM"), *texts])


def _value_text(value: object) -> str:
    if value is None or value in ((), {}):
        return "-"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
