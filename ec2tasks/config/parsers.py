"""The forms of settings: each parser gives the value, or says in a ValueError what it must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

# Offered in no region any more: https://aws.amazon.com/ec2/previous-generation/
RETIRED_FAMILIES = {"p2": "g4dn.xlarge", "p3": "g5.xlarge", "g3": "g4dn.xlarge", "g3s": "g4dn.xlarge"}
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
USER_DATA_LIMIT = 16 * 1024  # bytes, before base64
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
SIZE = re.compile(r"nano|micro|small|medium|large|\d*xlarge|metal(-\d+xl)?")
SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "metal")
TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"", "0", "false", "no", "off"}
# What a tag value may hold: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
TAG_KEY_LIMIT, TAG_VALUE_LIMIT = 128, 256


def text(value: object) -> str:
    """A non-empty text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise ValueError("must be a text")
    return str(value).strip()


def matching(pattern: str, example: str) -> Callable[[object], str]:
    """A parser for a text of that form; its error shows the example."""

    def parse(value: object) -> str:
        found = text(value)
        if not re.fullmatch(pattern, found):
            raise ValueError(f"`{found}` is not of the form `{example}`")
        return found

    return parse


def choice(words: tuple[str, ...]) -> Callable[[object], str]:
    """A parser for one of these words."""

    def parse(value: object) -> str:
        found = text(value).lower()
        if found not in words:
            raise ValueError(f"`{found}` is not one of {', '.join(words)}")
        return found

    return parse


def number(value: object) -> int:
    """A whole number above 0."""
    try:
        found = int(text(value))
    except ValueError:
        found = 0
    if found < 1:
        raise ValueError(f"`{value}` is not a whole number above 0")
    return found


UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400}
UNIT_NAMES = {"sec": "s", "m": "min", "hour": "h", "d": "day", "second": "s", "minute": "min"}
LONGEST_SPAN = 10 * 365 * 86400  # seconds


def span(unit: str) -> Callable[[object], int]:
    """A parser for a time in seconds: `90 s`, `30 min`, `2 h`, `7 days`; a number alone is in `unit`.

    `never` is 0.
    """

    def parse(value: object) -> int:
        found = text(value).lower()
        if found in ("never", "0"):
            return 0
        form = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", found)
        word = (form[2].rstrip("s") or form[2]) if form else ""
        known = UNIT_NAMES.get(word, word) or unit
        if not form or known not in UNITS:
            raise ValueError(f"`{value}` is not of the form `30 min`, `90 s`, `2 h`, `7 days` or `never`")
        seconds = round(float(form[1]) * UNITS[known])
        if not 0 < seconds <= LONGEST_SPAN:
            raise ValueError(f"`{value}` is not between a second and ten years")
        return seconds

    return parse


def span_text(seconds: int) -> str:
    """A time as `span` reads it, in its largest whole unit."""
    if seconds == 0:
        return "never"
    unit = next(name for name in ("day", "h", "min", "s") if seconds % UNITS[name] == 0)
    count = seconds // UNITS[unit]
    return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"


def duration(seconds: float) -> str:
    """A time to be read alone, rounded in the unit that suits it."""
    if seconds < 60:
        return f"{round(seconds, 1)} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def flag(value: object) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(f"`{value}` is neither yes nor no")
    return word in TRUE_WORDS


def listed(item: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """A parser for several of these: a YAML list, or a text with commas or spaces between them."""

    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, list | tuple):
            items: Iterable[object] = value
        else:
            items = (word for word in re.split(r"[,\s]+", text(value)) if word)
        return tuple(item(one) for one in items)

    return parse


def instance_type(value: object) -> str:
    """An instance type that AWS still offers somewhere."""
    found = matching(r"[a-z0-9-]+\.[a-z0-9-]+", "g4dn.xlarge")(value)
    family, size = found.split(".")
    if not SIZE.fullmatch(size):
        like = difflib.get_close_matches(size, SIZES, n=1)
        raise ValueError(
            f"`{found}` has no size of EC2's" + (f"; did you mean `{family}.{like[0]}`?" if like else "")
        )
    if family in RETIRED_FAMILIES:
        raise ValueError(f"`{found}` is offered in no region any more; use `{RETIRED_FAMILIES[family]}`")
    return found


def instance_types(value: object) -> tuple[str, ...]:
    """One type or several, tried in order."""
    found = listed(instance_type)(value)
    if not found:
        raise ValueError("names no instance type")
    return found


def file_path(value: object) -> Path:
    """A file that exists."""
    path = Path(text(value)).expanduser()
    if not path.is_file():
        raise ValueError(f"no file `{path}`")
    return path


def user_data(value: object) -> str:
    """A script for the first boot, as text or as `file://PATH`."""
    found = value if isinstance(value, str) else text(value)
    if found.startswith("file://"):
        path = file_path(found.removeprefix("file://"))
        try:
            found = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"`{path}` is not a text in UTF-8") from error
    if len(found.encode()) > USER_DATA_LIMIT:
        raise ValueError(f"holds {len(found.encode())} bytes, AWS takes {USER_DATA_LIMIT} at most")
    return found


def remote_dir(value: object) -> str:
    """A folder below the login user's home."""
    found = text(value).removeprefix("~/").rstrip("/")
    if not found or found.startswith(("/", "-")) or ".." in Path(found).parts or "\n" in found:
        raise ValueError(f"`{value}` is not a folder below the home of the instance's user")
    return found


def forward(value: object) -> str:
    """A port forward as `[BIND:]PORT:HOST:PORT`; `8888` alone is short for `8888:localhost:8888`."""
    found = text(value)
    if found.isdigit():
        found = f"{found}:localhost:{found}"
    form = re.fullmatch(r"(?:(?:[^:\[\]]*|\[[^\]]+\]):)?(\d+):(?:[^:\[\]]+|\[[^\]]+\]):(\d+)", found)
    if not form or not all(0 < int(port) < 65536 for port in form.groups()):
        raise ValueError(f"`{value}` is not of the form `8888` or `8888:localhost:8888`")
    return found


def variable_name(value: object) -> str:
    """The name of an environment variable."""
    return matching(r"[A-Za-z_][A-Za-z0-9_]*", "WANDB_API_KEY")(value)


def tags(value: object) -> dict[str, str]:
    """The user's own tags: a mapping, or texts `key=value`."""
    if isinstance(value, Mapping):
        found = {str(key): "" if one is None else str(one) for key, one in value.items()}
    else:
        pairs = [str(pair) for pair in value] if isinstance(value, list | tuple) else [text(value)]
        broken = [pair for pair in pairs if "=" not in pair]
        if broken:
            raise ValueError(f"`{broken[0]}` is not of the form `key=value`")
        found = dict(pair.split("=", 1) for pair in pairs)
    for key, one in found.items():
        if not key or len(key) > TAG_KEY_LIMIT or len(one) > TAG_VALUE_LIMIT:
            raise ValueError(f"`{key}` is empty or too long for AWS (128 characters, its value 256)")
        if key.lower().startswith(("aws:", "ec2tasks")):
            raise ValueError(f"`{key}` is a tag that only AWS or ec2tasks sets")
    return found
