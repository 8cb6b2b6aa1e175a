"""How ec2tasks and its scripts on the instance talk: `name=value` words, a version, unknown names ignored.

`protocol.sh` is the other half; it stands before each script that is sent. A message is a line: a word for
its kind, then fields. A value of other than plain characters is `base64:…`; an empty one is left out, and
means the same as none. Each side says the version that it speaks: the client first among a script's
arguments, a script first in each line of its answer, by which that is known among what a login prints there.
Another version is no error as long as the needed fields are there; any other field has a default where it is
read.

What lies on the instance outlives the client that put it there. So those names and forms stay: `limits`, the
guard's `state`, and the files of a job's folder (see guard.sh and runner.sh).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.scripts import remote_script
from ec2tasks.ssh.host import Host, ssh_argv

VERSION = 1
LATEST = 2**32  # seconds since 1970, in 2106
PLAIN = re.compile(r"(?!base64:)[A-Za-z0-9._:/@%+,=\\-]*")
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
BEFORE = {"session.sh": ("metadata.sh", "listening.sh")}  # what stands before a script, beside the protocol
Value = str | int | bool | None
T = TypeVar("T")
Default = TypeVar("Default")


class ProtocolError(Failure):
    """An answer of the instance's that can't be understood: another version of ec2tasks gave it."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A line from the instance: its first word and its fields."""

    verb: str
    fields: dict[str, str]

    def need(self, name: str, kind: Callable[[str], T]) -> T:
        """The value of a field, read by `kind`. Raises ProtocolError where it is missing or can't be read."""
        value = self.fields.get(name, "")
        if not value:
            raise self._error(f"does not say `{name}`")
        try:
            return kind(value)
        except ValueError as error:
            raise self._error(f"says `{name}={value}`") from error

    def get(self, name: str, kind: Callable[[str], T], default: Default) -> T | Default:
        """The same of a field that may be missing."""
        return self.need(name, kind) if self.fields.get(name) else default

    def _error(self, what: str) -> ProtocolError:
        version = self.fields.get("version", "unknown")
        return ProtocolError(
            f"the instance's answer `{self.verb}` {what} (version {version}, ec2tasks here {VERSION})",
            hint="`pip install --upgrade ec2tasks`; `ec2tasks status` shows the instance",
        )


def read_job_id(text: str) -> str:
    """A job's id from the instance: a word that can name a file here. Raises ValueError for any other."""
    if not JOB_ID.fullmatch(text):
        raise ValueError(f"no id of a job: {text!r}")
    return text


def read_moment(text: str) -> int:
    """Seconds since 1970 from the instance, which a date can hold. Raises ValueError for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LATEST)) and int(text) < LATEST):
        raise ValueError(f"no moment: {text!r}")
    return int(text)


def read_code(text: str) -> int:
    """An exit code from the instance, as a shell tells it. Raises ValueError for any other text."""
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or int(text) > 255:
        raise ValueError(f"no exit code: {text!r}")
    return int(text)


def read_message(line: str, *verbs: str) -> Message | None:
    """The message in a line of a script's output; None for any other line, say of a login there."""
    words = line.split(" ")
    if words[0] not in verbs or not words[1:] or not words[1].startswith("version="):
        return None
    return Message(verb=words[0], fields=dict(_read_fields(words[1:])))


def _read_fields(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            continue
        if value.startswith("base64:"):
            try:
                value = base64.b64decode(value[len("base64:") :], validate=True).decode(errors="replace")
            except binascii.Error:
                continue
        yield name, value


def write_fields(**values: Value) -> list[str]:
    """These values as words; True is `yes`, and what is None, False or empty is left out."""
    texts = {
        name: "yes" if value is True else str(value)
        for name, value in values.items()
        if value is not None and value is not False
    }
    return [f"{name}={_quoted(text)}" for name, text in texts.items() if text]


def _quoted(text: str) -> str:
    if PLAIN.fullmatch(text):
        return text
    return f"base64:{base64.b64encode(text.encode(errors='surrogateescape')).decode()}"


def message_line(verb: str, **values: Value) -> bytes:
    """A line for a script's input."""
    return f"{' '.join([verb, *write_fields(**values)])}\n".encode()


def bash_argv(script: str, *verb: str, before: str = "", **values: Value) -> list[str]:
    """The bash that runs one of the scripts of this package, with these fields as its arguments.

    `before`: more shell text that stands before it.
    """
    parts = (*map(remote_script, ("protocol.sh", *BEFORE.get(script, ()))), before, remote_script(script))
    text = "\n".join(parts)
    return ["bash", "-c", text, script, *verb, *write_fields(version=VERSION, **values)]


def script_argv(
    host: Host,
    script: str,
    *verb: str,
    options: Sequence[str] = ("-T",),
    before: str = "",
    **values: Value,
) -> list[str]:
    """An ssh that does so on the instance."""
    return ssh_argv(host, *bash_argv(script, *verb, before=before, **values), options=options)
