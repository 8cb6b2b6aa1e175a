"""What Invoke's configuration says of the settings: the key `ec2` of its files, its variables.

Another tool's tasks may have that name too. Then what stands there is none of the settings, and
`invoke_settings: no` in ec2.yaml has it left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from ec2tasks.base.errors import UsageError
from ec2tasks.config.layers import Kind, Layer, Source, file_content, merge, relative_files
from ec2tasks.config.schema import INVOKE_KEY, INVOKE_PREFIX, KEYS_BY_NAME, closest

INVOKE_FILE = "invoke.yaml"
SWITCH = "invoke_settings"
IN_FILE = f"{INVOKE_FILE}, key `{INVOKE_KEY}`"
IN_CONFIGURATION = f"Invoke's configuration, key `{INVOKE_KEY}`"
LEFT_ALONE = f"`{SWITCH}: no` in ec2.yaml leaves it alone"
MAPPINGS = tuple(
    f"{INVOKE_PREFIX}{name.upper()}_" for name in ("tags", "recipes")
)  # Invoke's variables for one entry of these, which its own configuration then holds


def invoke_layers(
    root: Path, invoke_values: object, environ: Mapping[str, str], others: Iterable[Layer]
) -> list[Layer]:
    """The settings in the project's invoke.yaml, and in what else Invoke has read; none where it is not ours.

    `invoke_values` is what Invoke holds under the key, `others` the layers that say whether it is. Raises
    UsageError for what can't be ours and is not said to be another tool's.
    """
    if not _is_ours(others):
        return []
    check_variables(environ)
    # The console script would not read the file otherwise.
    in_file = own_values(file_content(root / INVOKE_FILE, INVOKE_FILE).get(INVOKE_KEY), IN_FILE)
    # A variable stands there as it was converted by the kind of what it replaced: `no` as True.
    in_others = {
        name: value
        for name, value in own_values(invoke_values, IN_CONFIGURATION).items()
        if in_file.get(name) != value and not environ.get(KEYS_BY_NAME[name].invoke_variable, "").strip()
    }
    # Which of its files a value of Invoke's stands in can't be told: it may be one of the project's.
    return [
        Layer(source=Source(Kind.FILE, IN_FILE), values=relative_files(in_file, root)),
        Layer(source=Source(Kind.PASSING, "Invoke's configuration"), values=in_others),
    ]


def _is_ours(others: Iterable[Layer]) -> bool:
    """Whether these layers let Invoke's key count."""
    said = [
        replace(layer, values={SWITCH: layer.values[SWITCH]}) for layer in others if SWITCH in layer.values
    ]
    return bool(merge(said)[0][SWITCH])


def own_values(value: object, place: str) -> Mapping[str, object]:
    """What stands under Invoke's key, by setting. Raises UsageError where it can't be meant for ec2tasks."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{place}: must map settings to values, not be `{shorten(str(value), 60)}`",
            hint=f"if it is another tool's, {LEFT_ALONE}",
        )
    unknown = [str(name) for name in value if name not in KEYS_BY_NAME]
    if unknown and len(unknown) == len(value):
        names = ", ".join(f"`{name}`" for name in unknown)
        meant = " and ".join(f"`{like}`" for name in unknown if (like := closest(name, KEYS_BY_NAME)))
        raise UsageError(
            f"{place}: holds no setting of ec2tasks, but {names}"
            + (f"; did you mean {meant}?" if meant else ""),
            hint=f"if it is another tool's, {LEFT_ALONE}; `ec2tasks config` lists every setting",
        )
    if unknown:
        raise _unknown(place, unknown[0], unknown[0], closest(unknown[0], KEYS_BY_NAME))
    return {str(name): item for name, item in value.items()}


def check_variables(environ: Mapping[str, str]) -> None:
    """Raise UsageError for a variable of Invoke's form that sets nothing: Invoke itself lets it pass."""
    known = {key.invoke_variable for key in KEYS_BY_NAME.values()}
    for name in sorted(environ):
        if name.startswith(INVOKE_PREFIX) and name not in known and not name.startswith(MAPPINGS):
            setting = name.removeprefix(INVOKE_PREFIX).lower()
            raise _unknown(f"environment {name}", setting, name, closest(name, known))


def _unknown(place: str, setting: str, name: str, like: str | None) -> UsageError:
    return UsageError(
        f"{place}: unknown setting `{setting}`"
        + (f"; did you mean `{like}`?" if like and like != name else ""),
        hint=f"`ec2tasks config` lists every setting; if it is another tool's, {LEFT_ALONE}",
    )


def plain_values(value: Any) -> Any:
    """Convert Invoke's configuration objects into plain dictionaries and values."""
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return {str(key): plain_values(value[key]) for key in value}
    return value
