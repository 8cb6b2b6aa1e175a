"""The setting `env`: which environment a command is to run in there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.parsers import NUMBER, Schema, parser, text

Kind = Literal["auto", "none", "named", "conda", "venv", "file", "uv"]
# A name with such an end is a file's, to build from; any other is that of what is there.
FILE = re.compile(r".*\.(?:txt|lock|toml|ya?ml)")
FORMS = ("conda", "venv", "uv")
CHOICES = ("groups", "extras")
# https://packaging.python.org/en/latest/specifications/name-normalization/
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
NAME_SCHEMA: Schema = {"type": "string", "pattern": rf"^\s*{NAME}\s*$"}
CHOICE_SCHEMA: Schema = {"anyOf": [NAME_SCHEMA, {"type": "array", "items": NAME_SCHEMA}]}
UV_SCHEMA: Schema = {
    "type": "object",
    "properties": dict.fromkeys(CHOICES, CHOICE_SCHEMA),
    "additionalProperties": False,
}
TEXT_SCHEMA: Schema = {"anyOf": [{"type": "string", "pattern": r"\S"}, NUMBER]}


def _form_schema(form: str) -> Schema:
    inner = {"anyOf": [TEXT_SCHEMA, UV_SCHEMA]} if form == "uv" else TEXT_SCHEMA
    return {"type": "object", "properties": {form: inner}, "required": [form], "additionalProperties": False}


@dataclass(frozen=True, kw_only=True)
class EnvWish:
    """Which environment is wished: `kind`, and the name or file of one.

    `optional`: one that is not there is no error, and the automatic choice follows. `groups`, `extras`: those
    of the project's file to install beside its dependencies.
    """

    kind: Kind
    name: str = ""
    optional: bool = False
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def builds(self) -> bool:
        """Whether one may be built for it."""
        return self.kind in ("auto", "file", "uv") or self.optional


AUTO = EnvWish(kind="auto")


@parser(r"(?![?]\s*$)\S[\s\S]*", NUMBER, *map(_form_schema, FORMS))
def env(value: object) -> EnvWish:
    """An environment: auto, none, a name, a file, or a mapping that says which of those is meant."""
    if isinstance(value, Mapping):
        return _formed(value)
    word = text(value)
    if word.lower() in ("auto", "none"):
        return EnvWish(kind="none" if word.lower() == "none" else "auto")
    if word.endswith("?"):
        return EnvWish(kind="named", name=text(word.removesuffix("?")), optional=True)
    return EnvWish(kind="file" if FILE.fullmatch(word) else "named", name=word)


def _formed(value: Mapping[Any, Any]) -> EnvWish:
    (form,) = value if len(value) == 1 else ("",)
    if form not in FORMS:
        raise ValueError("must be a text, or hold one of conda, venv and uv: `env: {conda: NAME}`")
    inner = value[form]
    if form == "uv":
        return _choices(inner) if isinstance(inner, Mapping) else EnvWish(kind="file", name=text(inner))
    name = text(inner)
    kind: Kind = "file" if FILE.fullmatch(name) else "conda" if form == "conda" else "venv"
    return EnvWish(kind=kind, name=name)


def _choices(value: Mapping[Any, Any]) -> EnvWish:
    unknown = [str(key) for key in value if key not in CHOICES]
    if unknown:
        raise ValueError(f"`uv` takes groups and extras, not `{unknown[0]}`")
    chosen = {key: tuple(_names(value[key])) for key in value}
    return EnvWish(kind="uv", groups=chosen.get("groups", ()), extras=chosen.get("extras", ()))


def _names(value: object) -> Iterator[str]:
    for word in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(word, str) or not re.fullmatch(NAME, word.strip()):
            raise ValueError(f"`{word}` is no name of a group or extra")
        yield word.strip()


def env_text(wish: EnvWish) -> object:
    """The setting as a user writes it."""
    if wish.kind == "uv":
        return {"uv": {key: list(found) for key in CHOICES if (found := getattr(wish, key))}}
    if wish.kind in ("conda", "venv"):
        return {wish.kind: wish.name}
    if wish.kind in ("auto", "none"):
        return wish.kind
    return wish.name + ("?" if wish.optional else "")
