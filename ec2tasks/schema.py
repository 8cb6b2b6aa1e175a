"""Every setting: its name, its value's form, the environment variables that set it, its default."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DEFAULT_REGION = "eu-central-1"
DEFAULT_TYPES = ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
# Offered in no region any more: https://aws.amazon.com/ec2/previous-generation/
RETIRED_FAMILIES = {"p2": "g4dn.xlarge", "p3": "g5.xlarge", "g3": "g4dn.xlarge", "g3s": "g4dn.xlarge"}
USER_DATA_LIMIT = 16 * 1024
MULTIPLEXERS = ("tmux", "screen", "none")
FINAL_STATES = ("leave", "stop", "terminate")
ENDPOINTS = ("aws", "local")
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
    family = found.split(".")[0]
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


def recipes(value: object) -> dict[str, Any]:
    """Settings per target; each is checked when its target is run, and by `ec2tasks config`."""
    if not isinstance(value, Mapping):
        raise ValueError("must map targets to their settings")
    for target, entry in value.items():
        if not isinstance(entry, Mapping):
            raise ValueError(f"`{target}` must map settings to values")
        for key in entry:
            check_known(str(key), place=f"in `{target}`", known=set(KEYS_BY_NAME) - {"recipes"})
    return {str(target): dict(entry) for target, entry in value.items()}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One setting. `merge` says what a higher layer does to a lower one's value."""

    name: str
    parse: Callable[[object], Any]
    about: str
    environment: tuple[str, ...] = ()
    default: Any = None
    merge: Literal["replace", "add"] = "replace"


KEYS = (
    Key(
        name="endpoint",
        parse=choice(ENDPOINTS),
        default="aws",
        about="aws, or local for the local EC2 (also EC2_LOCAL=1)",
    ),
    Key(
        name="region",
        parse=matching(r"[a-z]{2}(-[a-z]+)+-\d+", "eu-central-1"),
        environment=("AWS_REGION", "AWS_DEFAULT_REGION"),
        default=DEFAULT_REGION,
        about="AWS region",
    ),
    Key(
        name="instance_type",
        parse=instance_types,
        environment=("AWS_INSTANCE_TYPE",),
        default=DEFAULT_TYPES,
        about="instance type, or several tried in order",
    ),
    Key(
        name="image",
        parse=text,
        environment=("AWS_IMAGE_ID", "AWS_IMAGE_NAME"),
        default="pytorch",
        about="pytorch, base, an ami-… or a name pattern of one of Amazon's images",
    ),
    Key(
        name="user",
        parse=matching(r"[a-z_][a-z0-9_-]*", "ubuntu"),
        environment=("AWS_INSTANCE_USER",),
        about="login user; by default the image's",
    ),
    Key(
        name="key_name",
        parse=text,
        environment=("AWS_KEY_NAME", "TRIGRAM"),
        about="name of the EC2 key pair; by default your login name",
    ),
    Key(
        name="key_file",
        parse=file_path,
        environment=("AWS_PEM",),
        about="private key; by default your SSH agent's, then those in ~/.ssh",
    ),
    Key(
        name="iam_instance_profile",
        parse=text,
        environment=("AWS_IAM_INSTANCE_PROFILE",),
        about="instance profile; by default EC2ReadOnlyAccessToS3 where the account has it",
    ),
    Key(
        name="security_group",
        parse=text,
        environment=("AWS_SECURITY_GROUP",),
        about="security group; by default SshEC2, else one made for you",
    ),
    Key(
        name="create_security_group",
        parse=flag,
        environment=("CREATE_SECURITY_GROUP",),
        default=True,
        about="whether a security group of your own may be made where there is no SshEC2",
    ),
    Key(
        name="subnet",
        parse=matching(r"subnet-[0-9a-f]+", "subnet-0abc"),
        about="subnet; by default the default ones of the region",
    ),
    Key(
        name="name",
        parse=matching(r"[^\s/][^/\n]{0,200}", "my-project"),
        environment=("AWS_NAME_INSTANCE",),
        about="the instance's name; by default KEY_NAME-FOLDER",
    ),
    Key(
        name="remote_dir",
        parse=remote_dir,
        environment=("AWS_RSYNC_DIR",),
        about="project's folder there, below home; by default the folder's name here",
    ),
    Key(
        name="final_state",
        parse=choice(FINAL_STATES),
        environment=("AWS_FINAL_STATE",),
        default="terminate",
        about="what becomes of the instance after a run: leave, stop, terminate",
    ),
    Key(
        name="multiplex",
        parse=choice(MULTIPLEXERS),
        environment=("MULTIPLEX",),
        about="tmux, screen or none: what a command runs in there; by default none, tmux when detached",
    ),
    Key(
        name="user_data",
        parse=user_data,
        environment=("AWS_USER_DATA",),
        about="script for the first boot: text or file://PATH",
    ),
    Key(name="tags", parse=tags, default={}, merge="add", about="tags of your own for what is launched"),
    Key(
        name="env",
        parse=text,
        environment=("CONDA_ENV",),
        default="auto",
        about="auto, none, a conda environment, or a venv's folder",
    ),
    Key(
        name="ports",
        parse=listed(forward),
        default=(),
        merge="add",
        about="ports of the instance to reach here during a run: 8888 or 8888:localhost:8888",
    ),
    Key(
        name="reverse_ports",
        parse=listed(forward),
        default=(),
        merge="add",
        about="ports here that the instance reaches during a run",
    ),
    Key(
        name="forward_env",
        parse=listed(variable_name),
        default=(),
        about="environment variables to hand to the command there",
    ),
    Key(name="spot", parse=flag, default=False, about="launch at the spot price"),
    Key(name="disk_gb", parse=number, about="size of the root disk in GiB; by default the image's"),
    Key(name="recipes", parse=recipes, default={}, about="settings per target of the Makefile"),
)
KEYS_BY_NAME = {key.name: key for key in KEYS}
ENVIRONMENT_NAMES = {name for key in KEYS for name in key.environment} | {"EC2_LOCAL"}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, where one is."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)


def check_known(key: str, *, place: str, known: Iterable[str]) -> None:
    """Raise ValueError naming the nearest known key where this one is not known."""
    known = set(known)
    if key not in known:
        like = nearest(key, known)
        raise ValueError(f"unknown setting `{key}` {place}" + (f"; did you mean `{like}`?" if like else ""))
