"""The settings of one call, merged from layers: from the built-in default up to the option."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.project import SETTINGS_FILE, Project
from ec2tasks.config.environment import EnvWish
from ec2tasks.config.invoke import invoke_layers
from ec2tasks.config.layers import (
    BUILT_IN,
    Kind,
    Layer,
    Source,
    dotenv_layer,
    environment_layer,
    file_layer,
    merge,
    option_layer,
    profile_layer,
    project_layer,
    recipe_layers,
)
from ec2tasks.config.schema import KEYS
from ec2tasks.config.trust import Wish, setting_wishes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting's value, checked, and its source; the fields are described in `schema.KEYS`.

    `wishes` are those that the project's own files have beyond its folder.
    """

    endpoint: str
    profile: str | None
    account: str | None
    region: str
    instance_type: tuple[str, ...]
    image: str
    user: str | None
    key_name: str
    key_file: Path | None
    iam_instance_profile: str | None
    security_group: str | None
    create_security_group: bool
    strict_host_keys: bool
    subnet: tuple[str, ...]
    via: str
    ssh_from: tuple[str, ...]
    capacity_reservation: str | None
    wait_capacity: int
    name: str
    remote_dir: str
    final_state: str
    multiplex: str | None
    user_data: str | None
    tags: Mapping[str, str]
    env: EnvWish
    ports: tuple[str, ...]
    reverse_ports: tuple[str, ...]
    forward_env: tuple[str, ...]
    spot: bool
    disk_gb: int | None
    idle_stop: int
    max_hours: int
    max_cost: float
    stalled_stop: int
    warn_before: int
    notice_signal: str
    reap_after: int
    pull_every: int
    log_mb: int
    append: tuple[str, ...]
    spot_fallback: bool
    resume: bool
    invoke_settings: bool
    recipes: Mapping[str, Any]
    sources: Mapping[str, Source] = field(repr=False)
    wishes: tuple[Wish, ...] = field(default=(), repr=False)

    def given(self, name: str) -> bool:
        """Whether the user gave this setting a value, anywhere, rather than leave it to the default."""
        return self.sources[name].kind is not Kind.DEFAULT

    def by_option(self, name: str) -> bool:
        """Whether an option of this call gave it."""
        return self.sources[name].kind is Kind.OPTION


def read_settings(
    project: Project,
    *,
    options: Mapping[str, object],
    typed: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    invoke_values: object = None,
    targets: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read and merge every layer. `options` are this call's by setting, `typed` how the user types them.

    `invoke_values` is what Invoke holds under its key `ec2`; `targets` are those of the Makefile whose
    entries under `recipes:` count. Raises UsageError for whatever a file, variable or option gets wrong.
    """
    home = Path(environ.get("HOME") or Path.home())
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    below = [
        Layer(source=Source(Kind.DEFAULT, "the task's default"), values=defaults or {}),
        file_layer(config_home / "ec2tasks" / "config.yaml", "~/.config/ec2tasks/config.yaml"),
    ]
    in_file = file_layer(project.root / SETTINGS_FILE, SETTINGS_FILE)
    in_environment = environment_layer(environ, "environment")
    others = [*below, in_file, in_environment]
    files = [in_file, *invoke_layers(project.root, invoke_values, environ, others)]
    own = [*files, *recipe_layers(files, targets), dotenv_layer(project.root / ".env")]
    above = [
        *below,
        *(project_layer(layer, project.root) for layer in own),
        in_environment,
        option_layer(options, typed or {}),
    ]
    layers = [above[0], profile_layer(home, environ, _profile(above) or "default"), *above[1:]]
    return _settings(layers, project, environ.get("USER") or getpass.getuser())


def _profile(layers: Iterable[Layer]) -> str | None:
    """The AWS profile that these layers come to; its region is below what they say of one."""
    said = [
        replace(layer, values={"profile": layer.values["profile"]})
        for layer in layers
        if "profile" in layer.values
    ]
    profile: str | None = merge(said)[0]["profile"] if said else None
    return profile


def _settings(layers: Sequence[Layer], project: Project, login: str) -> Settings:
    """Merge the layers; what none of them gives is made of the project and the login name."""
    values, sources = merge(layers)
    without, _ = merge(layer for layer in layers if not layer.source.of_project)
    for found in (values, without):
        found["key_name"] = found["key_name"] or login
        found["name"] = found["name"] or f"{found['key_name']}-{project.label}"
        found["remote_dir"] = found["remote_dir"] or project.label
    made = {"key_name": "your login name", "name": "key name and folder", "remote_dir": "the folder's name"}
    for name, text in made.items():
        if sources[name] is BUILT_IN:
            sources[name] = Source(Kind.DEFAULT, text)
    wishes = setting_wishes(values, sources, without, project.root)
    return Settings(**values, sources=sources, wishes=wishes)


def settings_rows(settings: Settings) -> list[tuple[str, Any, str]]:
    """Each setting as (name, value, source), the values as JSON can hold them."""
    shown = {key.name: key.show(getattr(settings, key.name)) for key in KEYS}
    return [
        (name, str(value) if isinstance(value, Path) else value, str(settings.sources[name]))
        for name, value in shown.items()
    ]
