"""The JSON Schema of ec2.yaml, made of the table of settings: for editors, which complete and check by it."""

from __future__ import annotations

import json
from typing import Any

from ec2tasks.config.schema import KEYS, Key

# Of all drafts the one that editors know best; it says nothing that a later one would read otherwise.
DRAFT = "http://json-schema.org/draft-07/schema#"


def schema_text() -> str:
    """The JSON Schema of ec2.yaml as the text of a file."""
    return json.dumps(settings_schema(), indent=2, ensure_ascii=False) + "\n"


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of ec2.yaml: each setting, and below `recipes` the settings of a target."""
    references = {key.name: {"$ref": f"#/definitions/{key.name}"} for key in KEYS}
    of_recipe = {name: reference for name, reference in references.items() if name != "recipes"}
    return {
        "$schema": DRAFT,
        "title": "ec2.yaml",
        "description": "Settings of ec2tasks for a project",
        "type": ["object", "null"],  # a file in which all is a comment is null
        "properties": references,
        "additionalProperties": False,
        "definitions": {
            **{key.name: _key_schema(key) for key in KEYS},
            "recipe": {"type": "object", "properties": of_recipe, "additionalProperties": False},
        },
    }


def _key_schema(key: Key) -> dict[str, Any]:
    default = key.show(key.default) if key.default is not None else None
    default = list(default) if isinstance(default, tuple) else default
    return {
        "description": key.about,
        **({} if default is None else {"default": default}),
        "anyOf": [*key.parse.schemas, {"type": "null"}],
    }
