"""The layers of settings: files, the AWS profile, .env, the environment, options; and how they are merged."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ec2tasks.base.errors import UsageError
from ec2tasks.config.parsers import flag, in_home
from ec2tasks.config.schema import (
    ENVIRONMENT_NAMES,
    KEYS,
    KEYS_BY_NAME,
    Key,
    UnknownSettingError,
    check_known,
)

LONGEST_FILE = 1_000_000  # characters; a link in a clone may lead to a device that has no end


class Kind(Enum):
    """Which kind of place sets a value."""

    DEFAULT = "none: built in, the task's own, or made of other settings"
    FILE = "a file"
    VARIABLE = "the environment"
    PASSING = "what the next call may not read: a recipe's own entry, Invoke's configuration"
    OPTION = "an option of this call"


@dataclass(frozen=True)
class Source:
    """Where a value comes from: which kind of place, its name as the user is told it.

    `of_project`: from a file that came with the project, which whoever wrote it wishes, and not the user.
    """

    kind: Kind
    text: str
    of_project: bool = False

    def __str__(self) -> str:
        return self.text


BUILT_IN = Source(Kind.DEFAULT, "default")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The unparsed values from one place, `source`; `sources` per key where they differ."""

    source: Source
    values: Mapping[str, object]
    sources: Mapping[str, Source] = field(default_factory=dict)


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, Source]]:
    """Each setting's parsed value, and its source; the later layer wins.

    Raises UsageError naming source, key and value of one that is unknown or unusable.
    """
    values: dict[str, Any] = {key.name: key.default for key in KEYS}
    sources = dict.fromkeys(values, BUILT_IN)
    for layer in layers:
        for name, raw in layer.values.items():
            source = layer.sources.get(name, layer.source)
            try:
                check_known(name, place="", known=KEYS_BY_NAME)
                parsed = None if raw is None else KEYS_BY_NAME[name].parse(raw)
            except ValueError as error:
                place = f"{source}" if isinstance(error, UnknownSettingError) else f"{source}: {name}"
                raise UsageError(f"{place}: {' '.join(str(error).split())}", hint=_hint(name)) from error
            if parsed is not None:
                values[name] = _combined(KEYS_BY_NAME[name], values[name], parsed)
                sources[name] = source
    return values, sources


def _hint(name: str) -> str:
    key = KEYS_BY_NAME.get(name)
    return f"{name} is: {key.about}" if key else "`ec2tasks config` lists every setting"


def _combined(key: Key, low: Any, high: Any) -> Any:
    if key.merge == "replace":
        return high
    return {**low, **high} if isinstance(high, Mapping) else (*low, *high)


def option_layer(options: Mapping[str, object], typed: Mapping[str, str]) -> Layer:
    """The options of this call, by setting; their sources name them as they are typed."""
    names = {name: typed.get(name) or f"--{name.replace('_', '-')}" for name in options}
    return Layer(
        source=Source(Kind.OPTION, "options"),
        values=options,
        sources={name: Source(Kind.OPTION, f"option {word}") for name, word in names.items()},
    )


def file_layer(path: Path, name: str) -> Layer:
    """The settings of a YAML file; none where there is no file. `name` is what the user is told of it."""
    values = relative_files(file_content(path, name), path.parent)
    return Layer(source=Source(Kind.FILE, name), values=values)


def file_content(path: Path, name: str) -> Mapping[str, object]:
    """Read a YAML file of names and values; empty where there is none. Raises UsageError for any other."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_FILE + 1)
        if len(text) > LONGEST_FILE:
            raise UsageError(f"{name}: holds more than {LONGEST_FILE // 1_000_000} MB")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: can't be read: {error}") from error
    content = _yaml_content(text, name)
    return checked_mapping({} if content is None else content, name)


def _yaml_content(text: str, name: str) -> object:
    import yaml  # here, as dotenv below: most calls read no such file

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{name}{line}: not YAML: {getattr(error, 'problem', error)}") from error


def checked_mapping(value: object, place: str) -> Mapping[str, object]:
    """The value with its keys as texts. Raises UsageError naming the place where it is no mapping."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{place}: must map settings to values, not be a {type(value).__name__}")
    return {str(key): item for key, item in value.items()}


def relative_files(values: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The same values, paths in them resolved against the folder of the file that names them."""
    resolved = dict(values)
    if isinstance(resolved.get("key_file"), str):
        resolved["key_file"] = str(folder / in_home(str(resolved["key_file"])))
    script = resolved.get("user_data")
    if isinstance(script, str) and script.startswith("file://"):
        resolved["user_data"] = f"file://{folder / in_home(script.removeprefix('file://'))}"
    return resolved


def project_layer(layer: Layer, root: Path) -> Layer:
    """The same layer as one of the project's own, its paths below the project's folder."""

    def own(source: Source) -> Source:
        return replace(source, of_project=True)

    return Layer(
        source=own(layer.source),
        values=relative_files(layer.values, root),
        sources={name: own(source) for name, source in layer.sources.items()},
    )


def recipe_layers(project_layers: Iterable[Layer], targets: Iterable[str]) -> list[Layer]:
    """The entries under `recipes:` for these targets, a layer each."""
    layers = []
    for layer in project_layers:
        values, _ = merge([Layer(source=layer.source, values={"recipes": layer.values.get("recipes")})])
        layers += [
            Layer(
                source=Source(Kind.PASSING, f"{layer.source}, recipe `{target}`"),
                values=values["recipes"][target],
            )
            for target in targets
            if target in values["recipes"]
        ]
    return layers


def dotenv_layer(path: Path) -> Layer:
    """The settings in a project's .env, by their environment variables; nothing else of it is kept."""
    values = {name: value for name, value in dotenv_content(path).items() if name in ENVIRONMENT_NAMES}
    return environment_layer(values, ".env", Kind.FILE)


def dotenv_content(path: Path) -> dict[str, str]:
    """The variables of a .env, none where there is no file. Raises UsageError for one that can't be read."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f".env: can't be read: {error}") from error
    return {name: value for name, value in values.items() if value is not None}


def environment_layer(environ: Mapping[str, str], place: str, kind: Kind = Kind.VARIABLE) -> Layer:
    """The settings given by environment variables; an empty one counts as not given.

    A file's are those of ssh-ec2's names alone: Invoke's are the caller's to give.
    """
    values: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for key in KEYS:
        names = key.variables if kind is Kind.VARIABLE else key.environment
        name = next((name for name in names if environ.get(name, "").strip()), None)
        if name:
            values[key.name], sources[key.name] = environ[name], Source(kind, f"{place} {name}")
    if environ.get("EC2_LOCAL"):
        sources["endpoint"] = Source(kind, f"{place} EC2_LOCAL")
        try:
            values["endpoint"] = "local" if flag(environ["EC2_LOCAL"]) else "aws"
        except ValueError as error:
            raise UsageError(
                f"{sources['endpoint']}: {error}", hint="EC2_LOCAL=1 uses the local EC2"
            ) from error
    return Layer(source=Source(kind, place), values=values, sources=sources)


def profile_layer(home: Path, environ: Mapping[str, str], profile: str) -> Layer:
    """The region of this AWS profile.

    Read here rather than by botocore, whose import would double the time of `ec2tasks config`
    (https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html).
    """
    path = in_home(environ.get("AWS_CONFIG_FILE") or str(home / ".aws" / "config"))
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path)
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise UsageError(
            f"{path}: can't be read: {' '.join(str(error).split())}",
            hint="mend that file, or move it away: `aws configure` writes a new one",
        ) from error
    section = profile if profile == "default" else f"profile {profile}"
    region = parser.get(section, "region", fallback=None)
    source = Source(Kind.FILE, f"AWS profile `{profile}`")
    return Layer(source=source, values={"region": region} if region else {})
