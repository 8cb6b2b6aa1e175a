"""The table of all settings, `KEYS`: name, parser, environment variables, default, help."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.final_state import FinalState
from ec2tasks.config import environment, parsers
from ec2tasks.config.parsers import Parser
from ec2tasks.config.tags import tags
from ec2tasks.config.way import VIA_PUBLIC, jump_host, network

DEFAULT_REGION = "eu-central-1"
DEFAULT_TYPES = ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
MULTIPLEXERS = ("tmux", "screen", "none")
ENDPOINTS = ("aws", "local")
INVOKE_KEY = "ec2"  # under which Invoke's configuration holds settings
INVOKE_PREFIX = "INVOKE_EC2_"  # Invoke names a variable after the keys that lead to its value


class UnknownSettingError(ValueError):
    """There is no setting of that name."""


@parsers.parser(None, {"type": "object", "additionalProperties": {"$ref": "#/definitions/recipe"}})
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
    """One setting: how its value is parsed, the variables that set it, its default, its help (`about`).

    `merge` says whether a higher layer's value replaces a lower one's or is added to it; `show` converts the
    parsed value back to what a user would write.
    """

    name: str
    parse: Parser[Any]
    about: str
    environment: tuple[str, ...] = ()
    default: Any = None
    merge: Literal["replace", "add"] = "replace"
    show: Callable[[Any], object] = lambda value: value

    @property
    def invoke_variable(self) -> str:
        """The variable that Invoke's users know it by."""
        return f"{INVOKE_PREFIX}{self.name.upper()}"

    @property
    def variables(self) -> tuple[str, ...]:
        """Each variable of the caller's environment that sets it, the first that is set counts."""
        return (self.invoke_variable, *self.environment)


KEYS = (
    Key(
        name="endpoint",
        parse=parsers.choice(ENDPOINTS),
        default="aws",
        about="aws, or local for the local EC2 (also EC2_LOCAL=1)",
    ),
    Key(
        name="profile",
        parse=parsers.matching(r"[^\s/][^/\n]{0,200}", "work", parsers.NUMBER),
        environment=("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
        about="AWS profile whose credentials are used; keys in your environment count before it",
    ),
    Key(
        name="account",
        parse=parsers.account,
        about="number of the AWS account that this is for; another one is refused",
    ),
    Key(
        name="region",
        parse=parsers.matching(r"[a-z]{2,4}(-[a-z]+)+-\d+", "eu-central-1"),
        environment=("AWS_REGION", "AWS_DEFAULT_REGION"),
        default=DEFAULT_REGION,
        about="AWS region",
    ),
    Key(
        name="instance_type",
        parse=parsers.listed(parsers.instance_type, none_error="names no instance type"),
        environment=("AWS_INSTANCE_TYPE",),
        default=DEFAULT_TYPES,
        about="instance type, or several tried in order",
    ),
    Key(
        name="image",
        parse=parsers.text,
        environment=("AWS_IMAGE_ID", "AWS_IMAGE_NAME"),
        default="pytorch",
        about="pytorch, base, an ami-… or a name pattern of one of Amazon's images",
    ),
    Key(
        name="user",
        parse=parsers.matching(r"[a-z_][a-z0-9_-]*", "ubuntu"),
        environment=("AWS_INSTANCE_USER",),
        about="login user; by default the image's",
    ),
    Key(
        name="key_name",
        parse=parsers.text,
        environment=("AWS_KEY_NAME", "TRIGRAM"),
        about="name of the EC2 key pair; by default your login name",
    ),
    Key(
        name="key_file",
        parse=parsers.file_path,
        environment=("AWS_PEM",),
        about="private key; by default your SSH agent's, then those in ~/.ssh",
    ),
    Key(
        name="iam_instance_profile",
        parse=parsers.text,
        environment=("AWS_IAM_INSTANCE_PROFILE",),
        about="instance profile; by default EC2ReadOnlyAccessToS3 where the account has it",
    ),
    Key(
        name="security_group",
        parse=parsers.text,
        environment=("AWS_SECURITY_GROUP",),
        about="security group, by name or id; by default SshEC2, else one made for you",
    ),
    Key(
        name="create_security_group",
        parse=parsers.flag,
        environment=("CREATE_SECURITY_GROUP",),
        default=True,
        about="whether a security group of your own may be made where there is no SshEC2",
    ),
    Key(
        name="strict_host_keys",
        parse=parsers.flag,
        default=False,
        about="whether nothing is sent before AWS's console has shown the instance's host key",
    ),
    Key(
        name="subnet",
        parse=parsers.listed(parsers.matching(r"subnet-[0-9a-f]+", "subnet-0abc")),
        default=(),
        about="subnet, or several tried in order; by default the default ones of the region",
    ),
    Key(
        name="via",
        parse=jump_host,
        default=VIA_PUBLIC,
        about="how the instance is reached: public or private address, eice, or a jump host of ~/.ssh/config",
    ),
    Key(
        name="ssh_from",
        parse=parsers.listed(network),
        default=(),
        about="networks that SSH is opened to in your own security group; by default this machine's address",
    ),
    Key(
        name="capacity_reservation",
        parse=parsers.matching(r"cr-[0-9a-f]+", "cr-0abc"),
        about="capacity reservation to launch in; by default an open one that fits, as AWS does",
    ),
    Key(
        name="wait_capacity",
        parse=parsers.span("h"),
        default=0,
        show=parsers.span_text,
        about="how long EC2 is asked again where it has no capacity: 2 h, 30 min",
    ),
    Key(
        name="name",
        parse=parsers.matching(r"[^\s/][^/\n]{0,200}", "my-project", parsers.NUMBER),
        environment=("AWS_NAME_INSTANCE",),
        about="the instance's name; by default KEY_NAME-FOLDER",
    ),
    Key(
        name="remote_dir",
        parse=parsers.remote_dir,
        environment=("AWS_RSYNC_DIR",),
        about="project's folder there, below home; by default the folder's name here",
    ),
    Key(
        name="final_state",
        parse=parsers.choice(tuple(state.value for state in FinalState)),
        environment=("AWS_FINAL_STATE",),
        default="terminate",
        about="what becomes of the instance after a run: leave, stop, terminate",
    ),
    Key(
        name="multiplex",
        parse=parsers.choice(MULTIPLEXERS),
        environment=("MULTIPLEX",),
        about="tmux, screen or none: what a command runs in there; by default none, tmux when detached",
    ),
    Key(
        name="user_data",
        parse=parsers.user_data,
        environment=("AWS_USER_DATA",),
        about="script for the first boot: text or file://PATH",
    ),
    Key(name="tags", parse=tags, default={}, merge="add", about="tags of your own for what is launched"),
    Key(
        name="env",
        parse=environment.env,
        environment=("CONDA_ENV",),
        default=environment.AUTO,
        show=environment.env_text,
        about="auto, none, a conda environment, a venv's folder, a file to build one from, or a mapping",
    ),
    Key(
        name="ports",
        parse=parsers.listed(parsers.forward),
        default=(),
        merge="add",
        about="ports of the instance to reach here during a run: 8888 or 8888:localhost:8888",
    ),
    Key(
        name="reverse_ports",
        parse=parsers.listed(parsers.forward),
        default=(),
        merge="add",
        about="ports here that the instance reaches during a run",
    ),
    Key(
        name="forward_env",
        parse=parsers.listed(parsers.variable_name),
        default=(),
        about="environment variables to hand to the command there",
    ),
    Key(name="spot", parse=parsers.flag, default=False, about="launch at the spot price"),
    Key(name="disk_gb", parse=parsers.number, about="size of the root disk in GiB; by default the image's"),
    Key(
        name="idle_stop",
        parse=parsers.span("min"),
        default=30 * 60,
        show=parsers.span_text,
        about="the instance stops itself after so long with no session and no command: 30 min, 2 h, never",
    ),
    Key(
        name="max_hours",
        parse=parsers.span("h"),
        default=0,
        show=parsers.span_text,
        about="the instance stops itself after so many hours, whatever runs on it",
    ),
    Key(
        name="max_cost",
        parse=parsers.dollars,
        default=0.0,
        show=parsers.dollars_text,
        about="the instance stops itself once it has cost so many dollars since its start: 5, $2.50, never",
    ),
    Key(
        name="stalled_stop",
        parse=parsers.span("h"),
        default=0,
        show=parsers.span_text,
        about="the instance stops itself once its commands have done nothing for so long: 2 h, never",
    ),
    Key(
        name="warn_before",
        parse=parsers.span("min"),
        default=120,
        show=parsers.span_text,
        about="how long before an instance's end its command gets notice_signal, to save: 2 min, never",
    ),
    Key(
        name="notice_signal",
        parse=parsers.signal_name,
        default="TERM",
        about="the signal that it gets then, if it catches it: TERM, INT, HUP, QUIT, USR1, USR2",
    ),
    Key(
        name="reap_after",
        parse=parsers.span("day"),
        default=7 * 86400,
        show=parsers.span_text,
        about="`ec2tasks reap` takes an instance stopped for longer than this for forgotten",
    ),
    Key(
        name="pull_every",
        parse=parsers.span("s"),
        default=60,
        show=parsers.span_text,
        about="how often results are fetched while a command runs: 60 s, 5 min, never",
    ),
    Key(
        name="log_mb",
        parse=parsers.number,
        default=1024,
        about="how many MiB of a command's output are kept on the instance; of more, the last",
    ),
    Key(
        name="append",
        parse=parsers.listed(parsers.matching(r"[^,\s/][^,\n]{0,200}", "results.csv", parsers.NUMBER)),
        default=(),
        about="files that each run only adds to, by patterns: what several runs add is joined",
    ),
    Key(
        name="spot_fallback",
        parse=parsers.flag,
        default=False,
        about="with spot: launch on demand where there is no spot capacity",
    ),
    Key(
        name="resume",
        parse=parsers.flag,
        default=False,
        about="run the command again on a new instance when AWS takes its spot instance back",
    ),
    Key(
        name="invoke_settings",
        parse=parsers.flag,
        default=True,
        about="whether the key `ec2` of invoke.yaml is ec2tasks' own; no where it is another tool's",
    ),
    Key(name="recipes", parse=recipes, default={}, about="settings per target of the Makefile"),
)
GUARD_SETTINGS = ("idle_stop", "max_hours", "max_cost", "stalled_stop")  # by which an instance ends itself
KEYS_BY_NAME = {key.name: key for key in KEYS}
ENVIRONMENT_NAMES = {name for key in KEYS for name in key.environment} | {"EC2_LOCAL"}


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelled most like this one; None where none is like it."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)


def check_known(key: str, *, place: str, known: Iterable[str]) -> None:
    """Raise UnknownSettingError, naming the known key spelled most like it, for a key that is not known."""
    known = set(known)
    if key not in known:
        like = closest(key, known)
        raise UnknownSettingError(
            f"unknown setting `{key}` {place}" + (f"; did you mean `{like}`?" if like else "")
        )
