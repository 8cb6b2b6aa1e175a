"""The one line of ~/.ssh/config that includes the entries of ec2tasks; nothing else of it is touched."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from ec2tasks.base.errors import Failure
from ec2tasks.base.writable import writing

BY_HAND = "put this line at its top yourself: {line}"
NOT_OURS = "take this line out of it yourself: {line}"
# Behind the first of these, what stands there is for some hosts alone.
BLOCK = re.compile(rb"^[ \t]*(?:host|match)\b", re.IGNORECASE | re.MULTILINE)


def includes(content: bytes, line: str) -> bool:
    """Whether this line stands in an ssh_config where it counts for every host."""
    block = BLOCK.search(content)
    head = content[: block.start()] if block else content
    return line.encode() in (one.strip() for one in head.splitlines())


def is_included(config: Path, line: str) -> bool:
    """Whether ~/.ssh/config has the line where it counts for every host."""
    return includes(_content(config, None) or b"", line)


def without(content: bytes, line: str) -> bytes:
    """The ssh_config without this line, wherever it stands; all else as it is."""
    return b"".join(one for one in content.splitlines(keepends=True) if one.strip() != line.encode())


def add_line(config: Path, line: str) -> bool:
    """Put the line at the top of ~/.ssh/config, which is made where it is missing; whether it was not there.

    Raises Failure, with the line to put there, for a link, another user's file, or what can't be written.
    """
    content = _content(config, BY_HAND.format(line=line))
    if includes(content or b"", line):
        return False
    _replace(config, line.encode() + b"\n" + (content or b""), BY_HAND.format(line=line))
    return True


def take_line(config: Path, line: str) -> bool:
    """Take the line out of ~/.ssh/config; whether it was there. Raises Failure as `add_line` does."""
    content = _content(config, None)
    if content is None or (rest := without(content, line)) == content:
        return False
    _content(config, hint := NOT_OURS.format(line=line))
    _replace(config, rest, hint)
    return True


def _content(config: Path, hint: str | None) -> bytes | None:
    """What stands in it, None where it is missing. With `hint`, raises Failure if it is not ours to write."""
    try:
        status = config.lstat()
    except FileNotFoundError:
        return None
    if hint and stat.S_ISLNK(status.st_mode):
        raise Failure(
            f"`{config}` is a link, to `{os.path.realpath(config)}`: it is left as it is", hint=hint
        )
    if hint and (not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid()):
        raise Failure(f"`{config}` is not a file of yours: it is left as it is", hint=hint)
    if hint and not os.access(config, os.W_OK):
        raise Failure(f"`{config}` can't be written", hint=hint)
    with writing(config, hint=hint or "check its rights"):
        return config.read_bytes()


def _replace(config: Path, content: bytes, hint: str) -> None:
    """Write it in one piece, with the rights that it has: who reads it meanwhile finds the old or the new."""
    draft = config.with_name(f".{config.name}.ec2tasks-{os.getpid()}")
    with writing(config, hint=hint):
        config.parent.mkdir(mode=0o700, exist_ok=True)
        mode = stat.S_IMODE(config.stat().st_mode) if config.exists() else 0o600
        try:
            with draft.open("xb") as file:
                draft.chmod(mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(config)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
