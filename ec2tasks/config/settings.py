"""The settings of one call: layers from the built-in default up to the option, each value with its source."""

from __future__ import annotations

import configparser
import dataclasses
import getpass
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import SETTINGS_FILE, Project
from ec2tasks.config.parsers import flag
from ec2tasks.config.schema import (
    ENVIRONMENT_NAMES,
    KEYS,
    KEYS_BY_NAME,
    Key,
    UnknownSettingError,
    check_known,
)

INVOKE_FILE = "invoke.yaml"


class Kind(Enum):
    """Who says a setting's value."""

    DEFAULT = "nobody: built in, the task's own, or made of other settings"
    CONFIGURED = "a file"
    VARIABLE = "the environment"
    PASSING = "what the next call may not read: a recipe's own entry, Invoke's configuration"
    OPTION = "an option of this call"


@dataclass(frozen=True)
class Source:
    """Where a value comes from; as a text, what the user is told of it."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text


BUILT_IN = Source(Kind.DEFAULT, "default")


def configured(text: str) -> Source:
    """A file."""
    return Source(Kind.CONFIGURED, text)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Values from one place, `source`; `sources` per key where they differ."""

    source: Source
    values: Mapping[str, object]
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting's value, checked; the fields are described in `schema.KEYS`."""

    endpoint: str
    region: str
    instance_type: tuple[str, ...]
    image: str
    user: str | None
    key_name: str
    key_file: Path | None
    iam_instance_profile: str | None
    security_group: str | None
    create_security_group: bool
    subnet: str | None
    name: str
    remote_dir: str
    final_state: str
    multiplex: str | None
    user_data: str | None
    tags: Mapping[str, str]
    env: str
    ports: tuple[str, ...]
    reverse_ports: tuple[str, ...]
    forward_env: tuple[str, ...]
    spot: bool
    disk_gb: int | None
    idle_stop: int
    max_hours: int
    reap_after: int
    pull_every: int
    log_mb: int
    spot_fallback: bool
    resume: bool
    recipes: Mapping[str, Any]
    sources: Mapping[str, Source] = field(repr=False)

    def given(self, name: str) -> bool:
        """Whether somebody asked for this setting's value, rather than taking the default."""
        return self.sources[name].kind is not Kind.DEFAULT

    def by_option(self, name: str) -> bool:
        """Whether this very call asked for it."""
        return self.sources[name].kind is Kind.OPTION


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, Source]]:
    """Values and their sources, the later layer winning. Raises UsageError naming source, key and value."""
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


def settle(layers: Iterable[Layer], project: Project, login: str) -> Settings:
    """The settings of these layers, what no layer gives filled in from the project and the login name."""
    values, sources = merge(layers)
    derived = {
        "key_name": (login, "your login name"),
        "name": (f"{values['key_name'] or login}-{project.label}", "key name and folder"),
        "remote_dir": (project.label, "the folder's name"),
    }
    for name, (value, source) in derived.items():
        if values[name] is None:
            values[name], sources[name] = value, Source(Kind.DEFAULT, source)
    return Settings(**values, sources=sources)


def read_settings(
    project: Project,
    *,
    options: Mapping[str, object],
    typed: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    invoke_values: Mapping[str, object] | None = None,
    targets: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read every layer and settle them; `typed` are the options by setting, as the user types them.

    Raises UsageError for whatever a file or variable gets wrong.
    """
    home = Path(environ.get("HOME") or Path.home())
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    in_invoke_yaml = invoke_layer(project.root / INVOKE_FILE)
    others = {
        name: value
        for name, value in _mapping(invoke_values or {}, "Invoke's configuration, key `ec2`").items()
        if in_invoke_yaml.values.get(name) != value
    }
    project_layers = [
        file_layer(project.root / SETTINGS_FILE, SETTINGS_FILE),
        in_invoke_yaml,
        Layer(source=Source(Kind.PASSING, "Invoke's configuration"), values=others),
    ]
    layers = [
        Layer(source=Source(Kind.DEFAULT, "the task's default"), values=defaults or {}),
        profile_layer(home, environ),
        file_layer(config_home / "ec2tasks" / "config.yaml", "~/.config/ec2tasks/config.yaml"),
        *project_layers,
        *recipe_layers(project_layers, targets),
        environment_layer(dotenv_names(project.root / ".env"), ".env", Kind.CONFIGURED),
        environment_layer(environ, "environment"),
        option_layer(options, typed or {}),
    ]
    return settle(layers, project, login_name(environ))


def option_layer(options: Mapping[str, object], typed: Mapping[str, str]) -> Layer:
    """What the options of this call say, each named as it is typed."""
    names = {name: typed.get(name) or f"--{name.replace('_', '-')}" for name in options}
    return Layer(
        source=Source(Kind.OPTION, "options"),
        values=options,
        sources={name: Source(Kind.OPTION, f"option {word}") for name, word in names.items()},
    )


def login_name(environ: Mapping[str, str]) -> str:
    """The user's login name here, `USER` before the password database's."""
    return environ.get("USER") or getpass.getuser()


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{place}: must map settings to values, not be a {type(value).__name__}")
    return {str(key): one for key, one in value.items()}


def file_layer(path: Path, source: str) -> Layer:
    """The settings of a YAML file; none where there is no file."""
    return Layer(source=configured(source), values=_relative_files(file_content(path, source), path.parent))


def file_content(path: Path, source: str) -> Mapping[str, object]:
    """A YAML file that maps names to values; empty where there is none. Raises UsageError for any other."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: can't be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{source}{where}: not YAML: {getattr(error, 'problem', error)}") from error
    return _mapping({} if content is None else content, source)


def invoke_layer(path: Path) -> Layer:
    """The `ec2:` key of a project's invoke.yaml, which the console script would not read otherwise."""
    source = f"{path.name}, key `ec2`"
    content = file_content(path, path.name)
    values = _relative_files(_mapping(content.get("ec2") or {}, source), path.parent)
    return Layer(source=configured(source), values=values)


def plain_values(value: Any) -> Any:
    """Invoke's configuration objects as the plain mappings and values that they stand for."""
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return {str(key): plain_values(value[key]) for key in value}
    return value


def _relative_files(values: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The same values, files named relative to the file that names them."""
    found = dict(values)
    if isinstance(found.get("key_file"), str):
        found["key_file"] = str(folder / Path(str(found["key_file"])).expanduser())
    script = found.get("user_data")
    if isinstance(script, str) and script.startswith("file://"):
        found["user_data"] = f"file://{folder / Path(script.removeprefix('file://')).expanduser()}"
    return found


def recipe_layers(project_layers: Iterable[Layer], targets: Iterable[str]) -> list[Layer]:
    """The entries under `recipes:` for the targets that are run."""
    found = []
    for layer in project_layers:
        entries, _ = merge([Layer(source=layer.source, values={"recipes": layer.values.get("recipes")})])
        found += [
            Layer(
                source=Source(Kind.PASSING, f"{layer.source}, recipe `{target}`"),
                values=entries["recipes"][target],
            )
            for target in targets
            if target in entries["recipes"]
        ]
    return found


def dotenv_names(path: Path) -> dict[str, str]:
    """What a project's .env says of our own names; nothing else of it is kept."""
    return {name: value for name, value in dotenv_text(path).items() if name in ENVIRONMENT_NAMES}


def dotenv_text(path: Path) -> dict[str, str]:
    """What a .env says, empty where there is none. Raises UsageError for one that can't be read."""
    try:
        found = dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f".env: can't be read: {error}") from error
    return {name: value for name, value in found.items() if value is not None}


def environment_layer(environ: Mapping[str, str], place: str, kind: Kind = Kind.VARIABLE) -> Layer:
    """The settings given by environment variables; an empty one counts as not given."""
    values: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for key in KEYS:
        name = next((name for name in key.environment if environ.get(name, "").strip()), None)
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


def profile_layer(home: Path, environ: Mapping[str, str]) -> Layer:
    """The region of the AWS profile in use.

    Read here rather than by botocore, whose import would double the time of `ec2tasks config`
    (https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html).
    """
    path = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config").expanduser()
    profile = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read: {' '.join(str(error).split())}") from error
    section = profile if profile == "default" else f"profile {profile}"
    region = parser.get(section, "region", fallback=None)
    return Layer(source=configured(f"AWS profile `{profile}`"), values={"region": region} if region else {})


def printable(settings: Settings) -> list[tuple[str, Any, str]]:
    """Each setting as (name, value, source), the values as JSON can hold them."""
    plain = {name: getattr(settings, name) for name in (one.name for one in dataclasses.fields(settings))}
    return [
        (
            key.name,
            str(value) if isinstance(value := key.show(plain[key.name]), Path) else value,
            str(settings.sources[key.name]),
        )
        for key in KEYS
    ]
