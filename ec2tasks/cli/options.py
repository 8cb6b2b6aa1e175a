"""The options of the tasks: one table, from which Invoke's parser, the help and the settings are fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError
from ec2tasks.base.final_state import FinalState
from ec2tasks.config.schema import KEYS_BY_NAME, closest


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option. `names` are Invoke's, its value arrives under the first; `setting` is what it sets.

    Without a `help` of its own it has its setting's.
    """

    names: tuple[str, ...]
    help: str = ""
    kind: type = str
    setting: str | None = None
    positional: bool = False


END_OPTIONS = (
    Option(names=("leave", "l"), kind=bool, help="leave the instance running afterwards"),
    Option(
        names=("stop", "s"),
        kind=bool,
        help="stop it afterwards: its disk stays, the next run starts it again",
    ),
    Option(
        names=("terminate", "t"),
        kind=bool,
        help="terminate it afterwards (the default for what the call launched)",
    ),
)
HOLD_OPTIONS = (
    Option(names=("detach", "d"), kind=bool, help="start the command and return at once; the instance stays"),
    Option(names=("multi",), setting="multiplex"),
)
DEFAULT_END = Option(
    names=("default_end",),
    help="leave, stop or terminate, where neither a setting nor an option says it",
)
PLAN_OPTIONS = (
    Option(names=("dry",), kind=bool, help="show what would be done, and do nothing"),
    Option(names=("echo",), kind=bool, help="show each command of ssh and rsync"),
)
PLACE_OPTIONS = (
    Option(names=("name",), setting="name"),
    Option(names=("region",), setting="region"),
    Option(names=("local",), kind=bool, setting="endpoint", help="on the local EC2: no account, no bill"),
)
KEY_OPTIONS = (
    Option(names=("i",), setting="key_file"),
    Option(names=("I",), setting="key_file", help="the same as -i, as ssh-ec2 had it"),
    Option(names=("user",), setting="user"),
)
LAUNCH_OPTIONS = (
    Option(
        names=("type",), setting="instance_type", help="instance type, or several with commas, tried in order"
    ),
    Option(names=("image",), setting="image"),
    Option(names=("key_name",), setting="key_name"),
    Option(names=("iam_instance_profile",), setting="iam_instance_profile"),
    Option(names=("security_group",), setting="security_group"),
    Option(names=("subnet",), setting="subnet"),
    Option(names=("capacity_reservation",), setting="capacity_reservation"),
    Option(names=("wait_capacity",), setting="wait_capacity"),
    Option(names=("disk_gb",), setting="disk_gb"),
    Option(names=("user_data",), setting="user_data"),
    Option(
        names=("tag",),
        kind=list,
        setting="tags",
        help="a tag key=value for what is launched; may be repeated",
    ),
    Option(names=("spot",), kind=bool, setting="spot"),
    Option(names=("spot_fallback",), kind=bool, setting="spot_fallback"),
)
GUARD_OPTIONS = (
    Option(names=("idle_stop",), setting="idle_stop"),
    Option(names=("max_hours",), setting="max_hours"),
    Option(names=("max_cost",), setting="max_cost"),
    Option(names=("stalled_stop",), setting="stalled_stop"),
)
SYNC_OPTIONS = (
    Option(names=("no_rsync",), kind=bool, help="move no files, neither there nor back"),
    Option(names=("verbose", "v"), kind=bool, help="show each file that moves"),
    Option(names=("no_quiet",), kind=bool, help="the same as --verbose"),
    Option(names=("quiet",), kind=bool, help="show no files that move (the default)"),
)
PORT_OPTION = Option(
    names=("L",),
    kind=list,
    setting="ports",
    help="a port there to reach here: 8888 or 8888:localhost:8888; may be repeated",
)
JOB_OPTIONS = (
    Option(names=("env",), setting="env"),
    PORT_OPTION,
    Option(
        names=("R",),
        kind=list,
        setting="reverse_ports",
        help="a port here that the instance reaches: 9000:localhost:9000; may be repeated",
    ),
)
BROWSER_OPTION = Option(names=("no_browser",), kind=bool, help="say where Jupyter is, and open no browser")
FOLDER_OPTION = Option(names=("remote_dir",), setting="remote_dir")
REACH_OPTIONS = (*PLACE_OPTIONS, *KEY_OPTIONS, FOLDER_OPTION)
REUSE_OPTION = Option(
    names=("reuse",), kind=bool, help="use the instance that is there, also where --type names another type"
)
UP_OPTIONS = (*LAUNCH_OPTIONS, REUSE_OPTION, *GUARD_OPTIONS, *REACH_OPTIONS, *PLAN_OPTIONS)
RUN_OPTIONS = (*END_OPTIONS, *HOLD_OPTIONS, DEFAULT_END, *SYNC_OPTIONS, *JOB_OPTIONS, *UP_OPTIONS)
CONNECT_OPTIONS = tuple(option for option in RUN_OPTIONS if option.setting or option.names == ("echo",))
EACH_OPTION = Option(
    names=("each",), kind=bool, help="run each prerequisite of the target by itself: a sweep"
)
MACHINES_OPTION = Option(
    names=("machines",), help="on a free one of so many machines of the project: NAME-1, NAME-2 …"
)
ADMIN_OPTIONS = (
    Option(
        names=("without",),
        kind=list,
        help="a feature that users don't get: key-import, own-group, roles, all-regions, spot or any-image;"
        " may be repeated",
    ),
    Option(
        names=("role",),
        kind=list,
        help="a role that instances may be given, in place of the two for S3; may be repeated",
    ),
    Option(
        names=("only_type", "type"),
        kind=list,
        help="an instance type that may be launched, or several by a pattern: 'g4dn.*'; may be repeated",
    ),
    Option(
        names=("only_region",),
        kind=list,
        help="a region in which instances may be launched; may be repeated",
    ),
    Option(
        names=("kms_key",),
        kind=list,
        help="a KMS key of yours with which disks are encrypted, by its id or ARN; may be repeated",
    ),
    Option(
        names=("owner",), help="whose instances a user may touch: '*' (the default), or '${aws:username}'"
    ),
)
POLICY_OPTIONS = tuple(
    replace(option, names=(*option.names, "region")) if option.names == ("only_region",) else option
    for option in ADMIN_OPTIONS
)
SETUP_OPTIONS = (
    *ADMIN_OPTIONS,
    Option(names=("bucket",), kind=list, help="a bucket that the roles are limited to; may be repeated"),
    Option(
        names=("network",),
        kind=list,
        help="a network that may use SSH through the security group SshEC2; may be repeated",
    ),
    Option(
        names=("permission_set",),
        help="a permission set of IAM Identity Center that gives users their rights; nothing else is made",
    ),
    Option(names=("dry", "dry_run"), kind=bool, help="show what would be changed, and change nothing"),
    *(option for option in PLACE_OPTIONS if option.names[0] != "name"),
)
JOB_OPTION = Option(
    names=("job",),
    help="the job: as `jobs` names it (0912), the beginning of its id, or a word of its command",
)
JSON_OPTION = Option(names=("json",), kind=bool, help="as JSON")


class Ec2Task(Task[Callable[..., None]]):
    """A task whose options come from the table above rather than from its signature.

    Invoke derives a task's options from its parameters; here several tasks share twenty, so they are handed
    to its parser as they stand in the table (https://docs.pyinvoke.org/en/stable/api/parser.html).
    """

    def __init__(self, body: Callable[..., Any], *, options: Sequence[Option], **rest: Any) -> None:
        super().__init__(body, **rest)
        self.options = tuple(options)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002  # Invoke's signature
        """The options as Invoke's parser takes them."""
        ordered = sorted(self.options, key=lambda option: not option.positional)
        return [_argument(option) for option in ordered]

    def __call__(self, *args: Any, **given: Any) -> Any:
        """Call it as Invoke does beside another task, or as Python code does: `run(c, "make eval")`.

        Options that are not given have the values that the parser gives them. Raises UsageError for what the
        parser would refuse.
        """
        caller = f"`ec2tasks {self.name}`"
        needed = [option.names[0] for option in self.options if option.positional]
        named = dict(zip(needed, args[1:], strict=False))
        twice = sorted(named.keys() & given.keys())
        if twice or len(args) - 1 > len(needed):
            what = f"`{twice[0]}` twice" if twice else f"{len(args) - 1} values without a name"
            raise UsageError(f"{caller} is given {what}", hint=f"it takes {len(needed)} without a name")
        values = from_code({**named, **given}, self.options, caller=caller)
        for name in needed:
            if name not in values:
                raise UsageError(f"{caller} needs `{name}`", hint=f'{self.name}(c, {name}="…")')
        defaults = {option.names[0]: _default(option) for option in self.options}
        return super().__call__(*args[:1], **{**defaults, **values})


def _default(option: Option) -> object:
    return {bool: False, list: []}.get(option.kind)


def _argument(option: Option) -> Argument:
    names = tuple(name.replace("_", "-") for name in option.names)
    return Argument(
        names=names,
        # A name that is an alias of itself sends the parser into an endless loop.
        attr_name=option.names[0] if option.names[0] != names[0] else None,
        kind=option.kind,
        default=None if option.kind is list else _default(option),
        help=option.help or (KEYS_BY_NAME[option.setting].about if option.setting else ""),
        positional=option.positional,
    )


def setting_values(options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, object]:
    """What the options given say of the settings, the end of life among them."""
    values: dict[str, object] = {}
    for option in options:
        value = given.get(option.names[0])
        if option.setting and value not in (None, False, []):
            values[option.setting] = "local" if option.setting == "endpoint" and value is True else value
    end = final_state(given)
    return {**values, "final_state": end} if end else values


def typed(options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, str]:
    """The same options as the user types them, by the setting that each sets."""
    values = {
        option.setting: as_typed(option.names[0])
        for option in options
        if option.setting and given.get(option.names[0]) not in (None, False, [])
    }
    end = final_state(given)
    return {**values, "final_state": as_typed(end)} if end else values


def option_words(options: Sequence[Option], given: Mapping[str, Any]) -> list[str]:
    """The words by which another call is given the same of these options."""
    words: list[str] = []
    for option in options:
        value, word = given.get(option.names[0]), as_typed(option.names[0])
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                words.append(word)
            elif one not in (None, False):
                words += [f"{word}={one}"] if word.startswith("--") else [word, str(one)]
    return words


def as_typed(name: str) -> str:
    """An option's name with its dashes."""
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def from_code(
    given: Mapping[str, object], options: Sequence[Option] = CONNECT_OPTIONS, *, caller: str = "`connect`"
) -> dict[str, object]:
    """What Python code gives a task or `connect`, each value under its option's first name.

    An option goes by any of its names, with dashes or underscores, or by that of its setting. Raises
    UsageError for any other name, for two names of one option, and for a value of the wrong kind.
    """
    known = {name: option for option in reversed(options) for name in (option.setting, *option.names) if name}
    values: dict[str, object] = {}
    for name, value in given.items():
        option = known.get(name.replace("-", "_"))
        if option is None:
            like = closest(name, known)
            raise UsageError(
                f"{caller} has no option `{name}`" + (f"; did you mean `{like}`?" if like else ""),
                hint=f"it has {', '.join(sorted(known))}; ec2.yaml takes every setting",
            )
        if option.names[0] in values:
            raise UsageError(f"{caller} is given `{name}` under two names", hint="give one of them")
        if value is not None:
            values[option.names[0]] = _checked(option, name, value, caller)
    return values


def _checked(option: Option, name: str, value: object, caller: str) -> object:
    """The value as the parser hands it over. Raises UsageError for what it never would."""
    if option.kind is list and not isinstance(value, Mapping):
        value = list(value) if isinstance(value, (list, tuple)) else [value]
    if option.setting:
        return value  # what the setting takes is for the settings to say
    words = value if isinstance(value, list) else [value]
    kind = bool if option.kind is bool else str
    if not isinstance(words if option.kind is list else value, option.kind) or not all(
        isinstance(word, kind) for word in words
    ):
        form = "True or False" if kind is bool else "a text"
        raise UsageError(f"{caller}: `{name}` takes {form}, not {value!r}")
    return value


def final_state(given: Mapping[str, Any]) -> str | None:
    """The end of life asked for by option. Raises UsageError for more than one."""
    ends = [state.value for state in FinalState if given.get(state.value)]
    if len(ends) > 1:
        raise UsageError(
            f"{' and '.join(f'--{name}' for name in ends)} contradict each other",
            hint=f"give one of them, say --{ends[0]}",
        )
    return ends[0] if ends else None


def is_verbose(given: Mapping[str, Any]) -> bool:
    """Whether each file that moves is shown. Raises UsageError where both are asked for."""
    verbose = bool(given.get("verbose") or given.get("no_quiet"))
    if verbose and given.get("quiet"):
        raise UsageError("--quiet and --verbose contradict each other", hint="give one of them")
    return verbose
