"""Parsers of settings' values: each returns the value, or says in a ValueError what it must be.

Each also knows its form in JSON Schema, from which `json_schema` makes the one of ec2.yaml.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.secret_stores import CREDENTIAL_NAME, secret_stores

Value = TypeVar("Value")
Schema = Mapping[str, object]
# Offered in no region any more: https://aws.amazon.com/ec2/previous-generation/
RETIRED_FAMILIES = {"p2": "g4dn.xlarge", "p3": "g5.xlarge", "g3": "g4dn.xlarge", "g3s": "g4dn.xlarge"}
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
USER_DATA_LIMIT = 16 * 1024  # bytes, before base64
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
SIZE = re.compile(r"nano|micro|small|medium|large|\d*xlarge|metal(-\d+xl)?")
SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "metal")
TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"", "0", "false", "no", "off"}


@dataclass(frozen=True, kw_only=True)
class Parser(Generic[Value]):
    """A parser of a setting's value, with the form of what it takes.

    `pattern` is that of its texts, blanks around them aside, in the regular expressions that Python and
    ECMAScript share; `others` are the JSON Schemas of the values that are no texts.
    """

    parse: Callable[[object], Value]
    pattern: str | None
    others: tuple[Schema, ...] = ()

    def __call__(self, value: object) -> Value:
        """Parse a value as YAML, the environment or an option gives it."""
        return self.parse(value)

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The JSON Schemas of the values that it takes, of which one has to fit."""
        if self.pattern is None:
            return self.others
        return (*self.others, {"type": "string", "pattern": rf"^\s*(?:{self.pattern})\s*$"})


def parser(pattern: str | None, *others: Schema) -> Callable[[Callable[[object], Value]], Parser[Value]]:
    """Make a function a Parser of this form."""
    return lambda parse: Parser(parse=parse, pattern=pattern, others=others)


def any_case(words: Iterable[str]) -> str:
    """The pattern of these words in small and capital letters; JSON Schema has no flag for that."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", "|".join(words))


NUMBER: Schema = {"type": "number"}


@parser(r"\S[\s\S]*", NUMBER)
def text(value: object) -> str:
    """A non-empty text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise ValueError("must be a text")
    return str(value).strip()


def matching(pattern: str, example: str, *others: Schema) -> Parser[str]:
    """A parser for a text of that form; its error shows the example."""

    @parser(pattern, *others)
    def parse(value: object) -> str:
        word = text(value)
        if not re.fullmatch(pattern, word):
            raise ValueError(f"`{word}` is not of the form `{example}`")
        return word

    return parse


def choice(words: tuple[str, ...]) -> Parser[str]:
    """A parser for one of these words, in small or capital letters."""

    @parser(any_case(words), {"enum": list(words)})
    def parse(value: object) -> str:
        word = text(value).lower()
        if word not in words:
            raise ValueError(f"`{word}` is not one of {', '.join(words)}")
        return word

    return parse


@parser(r"\+?(?:0_?)*[1-9](?:_?\d)*", {"type": "integer", "minimum": 1})
def number(value: object) -> int:
    """A whole number above 0."""
    try:
        count = int(text(value))
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError(f"`{value}` is not a whole number above 0")
    return count


@parser(r"\d{4}-?\d{4}-?\d{4}", {"type": "integer", "minimum": 100_000_000_000, "maximum": 999_999_999_999})
def account(value: object) -> str:
    """The twelve digits of an AWS account, with or without the dashes that the console shows."""
    word = text(value)
    if not re.fullmatch(r"\d{4}-?\d{4}-?\d{4}", word, re.ASCII):
        # YAML takes 001234567012 for an octal number.
        raise ValueError(f'`{word}` is not of the form "012345678901", in quotes where it begins with 0')
    return word.replace("-", "")


UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400}
UNIT_NAMES = {"sec": "s", "m": "min", "hour": "h", "d": "day", "second": "s", "minute": "min"}
LONGEST_SPAN = 10 * 365 * 86400  # seconds
UNIT_PATTERN = rf"[sS]|(?:{any_case(sorted({*UNITS, *UNIT_NAMES} - {'s'}))})[sS]*"
SPAN_PATTERN = rf"{any_case(['never'])}|\d+(?:\.\d+)?\s*(?:{UNIT_PATTERN})?"


def span(unit: str) -> Parser[int]:
    """A parser for a time in seconds: `90 s`, `30 min`, `2 h`, `7 days`; a number alone is in `unit`.

    `never` is 0.
    """

    @parser(SPAN_PATTERN, {"type": "number", "minimum": 0})
    def parse(value: object) -> int:
        words = text(value).lower()
        if words in ("never", "0"):
            return 0
        form = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", words)
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


SIGNALS = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM")  # that a program may catch, and say by that to end


@parser(rf"(?:[sS][iI][gG])?(?:{any_case(name.lower() for name in SIGNALS)})")
def signal_name(value: object) -> str:
    """The name of a signal that a program may catch: `TERM`, or `SIGTERM`."""
    name = text(value).upper().removeprefix("SIG")
    if name not in SIGNALS:
        raise ValueError(f"`{value}` is not one of {', '.join(SIGNALS)}")
    return name


LEAST_SUM, LARGEST_SUM = 0.01, 1e6  # dollars


@parser(rf"{any_case(['never'])}|[$]?\d+(?:\.\d+)?", {"type": "number", "minimum": 0})
def dollars(value: object) -> float:
    """An amount of dollars: `5`, `$2.50`; `never` is 0, for no limit."""
    words = text(value).lower()
    if words == "never":
        return 0.0
    form = re.fullmatch(r"[$]?(\d+(?:\.\d+)?)", words)
    if not form and isinstance(value, str):
        raise ValueError(f"`{value}` is not an amount of dollars, such as `5` or `$2.50`, nor `never`")
    amount = float(form[1]) if form else float(words)
    if amount != 0 and not LEAST_SUM <= amount <= LARGEST_SUM:
        raise ValueError(f"`{value}` is not between a cent and a million dollars")
    return amount


def dollars_text(amount: float) -> str:
    """An amount as `dollars` reads it."""
    return f"${amount:.2f}" if amount else "never"


@parser(any_case(sorted(TRUE_WORDS | FALSE_WORDS)), {"type": "boolean"}, {"enum": [0, 1]})
def flag(value: object) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(f"`{value}` is neither yes nor no")
    return word in TRUE_WORDS


def listed(item: Parser[str], *, none_error: str = "") -> Parser[tuple[str, ...]]:
    """A parser for several of these: a YAML list, or a text with commas or spaces between them.

    With `none_error`, an empty list is refused in these words.
    """
    # In a text, no word holds what stands between the words.
    word = (item.pattern or "").replace("[^", r"[^,\s")
    words = rf"[,\s]*(?:{word})(?:[,\s]+(?:{word}))*"
    pattern = rf"(?=\S)(?:{words}){'' if none_error else '?'}[,\s]*"
    array = {"type": "array", "items": {"anyOf": list(item.schemas)}, "minItems": 1 if none_error else 0}

    @parser(pattern, array, *item.others)
    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, list | tuple):
            items: Iterable[object] = value
        else:
            items = (word for word in re.split(r"[,\s]+", text(value)) if word)
        parsed = tuple(item(word) for word in items)
        if none_error and not parsed:
            raise ValueError(none_error)
        return parsed

    return parse


@parser(rf"(?!(?:{'|'.join(RETIRED_FAMILIES)})\.)[a-z0-9-]+\.(?:{SIZE.pattern})")
def instance_type(value: object) -> str:
    """An instance type that AWS still offers somewhere."""
    name = matching(r"[a-z0-9-]+\.[a-z0-9-]+", "g4dn.xlarge")(value)
    family, size = name.split(".")
    if not SIZE.fullmatch(size):
        like = difflib.get_close_matches(size, SIZES, n=1)
        raise ValueError(
            f"`{name}` has no size of EC2's" + (f"; did you mean `{family}.{like[0]}`?" if like else "")
        )
    if family in RETIRED_FAMILIES:
        raise ValueError(f"`{name}` is offered in no region any more; use `{RETIRED_FAMILIES[family]}`")
    return name


def in_home(path: str) -> Path:
    """The path, `~` and `~user` replaced by that home; as it is where nobody here is called so."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@parser(text.pattern, *text.others)
def file_path(value: object) -> Path:
    """A file that exists."""
    path = in_home(text(value))
    if not path.is_file():
        raise ValueError(f"no file `{path}`")
    return path


class FileText(str):
    """A text that was read from a file: `path` is where that stood, every link on the way followed."""

    def __new__(cls, text: str, path: Path) -> FileText:
        """The text, with the path that it was read from."""
        made = super().__new__(cls, text)
        made.path = path
        return made

    path: Path


@parser(r"(?!file://\s*$)[\s\S]*", NUMBER)
def user_data(value: object) -> str:
    """A script for the first boot, as text or as `file://PATH`; none from a store of keys or tokens."""
    script = value if isinstance(value, str) else text(value)
    if script.startswith("file://"):
        named = file_path(script.removeprefix("file://")).absolute()
        path = named.resolve()  # once: what a link leads to may change until it is read
        stores = secret_stores(Path.home())
        if store := stores.holding(path) or stores.holding(named):
            raise ValueError(f"`{named}` is in `{store}`: keys and tokens never leave this machine")
        try:
            script = FileText(path.read_text(encoding="utf-8"), path)
        except UnicodeDecodeError as error:
            raise ValueError(f"`{path}` is not a text in UTF-8") from error
    if len(script.encode()) > USER_DATA_LIMIT:
        raise ValueError(f"holds {len(script.encode())} bytes, AWS takes {USER_DATA_LIMIT} at most")
    return script


@parser(
    r"(?=\S)(?:~/|(?!~/))(?![/-])(?!(?:[^\n]*/)?\.\.(?:/|\s*$))[^\n]*\S", {"type": "number", "minimum": 0}
)
def remote_dir(value: object) -> str:
    """A folder below the login user's home."""
    folder = text(value).removeprefix("~/").rstrip("/")
    if not folder or folder.startswith(("/", "-")) or ".." in Path(folder).parts or "\n" in folder:
        raise ValueError(f"`{value}` is not a folder below the home of the instance's user")
    return folder


HOST_PATTERN = r"(?:[^:\[\]]+|\[[^\]]+\])"
PORT_PATTERN = r"0*(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"


@parser(
    rf"{PORT_PATTERN}|(?:{HOST_PATTERN}?:)?{PORT_PATTERN}:{HOST_PATTERN}:{PORT_PATTERN}",
    {"type": "integer", "minimum": 1, "maximum": 65535},
)
def forward(value: object) -> str:
    """A port forward as `[BIND:]PORT:HOST:PORT`; `8888` alone is short for `8888:localhost:8888`."""
    words = text(value)
    if words.isdigit():
        words = f"{words}:localhost:{words}"
    form = re.fullmatch(rf"(?:{HOST_PATTERN}?:)?(\d+):{HOST_PATTERN}:(\d+)", words)
    if not form or not all(0 < int(port) < 65536 for port in form.groups()):
        raise ValueError(f"`{value}` is not of the form `8888` or `8888:localhost:8888`")
    return words


VARIABLE_PATTERN = rf"(?!{CREDENTIAL_NAME}(?![A-Za-z0-9_]))[A-Za-z_][A-Za-z0-9_]*"


@parser(VARIABLE_PATTERN)
def variable_name(value: object) -> str:
    """The name of an environment variable that may be handed on: of none that holds AWS credentials."""
    name = text(value)
    if re.fullmatch(CREDENTIAL_NAME, name):
        raise ValueError(f"`{name}` holds AWS credentials: an instance gets rights by its role alone")
    return matching(r"[A-Za-z_][A-Za-z0-9_]*", "WANDB_API_KEY")(name)
