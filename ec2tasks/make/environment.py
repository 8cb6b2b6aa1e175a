"""The variables of the environment that the Makefile takes for its own, and that belong there too."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.secret_stores import holds_credentials
from ec2tasks.make.flags import OWN_VARIABLES
from ec2tasks.make.reading import Reading

PREFIX = r"^ *(?:(?:export|override|private) +)*"
# `NAME ?= default`, and the older `ifndef NAME`.
DEFAULTED = re.compile(rf"{PREFIX}(?:define +)?([^\s:#=$?]+) *\?=|^ *ifndef +([^\s:#=$]+)", re.MULTILINE)
# Under -e the environment wins over any assignment.
ASSIGNED = re.compile(rf"{PREFIX}(?:define +)?([^\s:#=$?+!]+) *(?:[?+!]|:{{1,3}})?=", re.MULTILINE)
# What tells of this machine, its user and its shell means nothing on another.
OF_THIS_MACHINE = re.compile(
    r"HOME|PATH|USER|USERNAME|LOGNAME|SHELL|PWD|OLDPWD|SHLVL|TERM|TMPDIR|TMP|TEMP|HOST|HOSTNAME|MAIL|EDITOR|VISUAL"
    r"|PAGER|DISPLAY|WAYLAND_DISPLAY|LANG|LANGUAGE|LC_.*|XDG_.*|SSH_.*|DBUS_.*|CONDA_.*|VIRTUAL_ENV|PYENV_.*"
    r"|PYTHONHOME|LD_.*|DYLD_.*|MAKE|MAKE(FLAGS|FILES|LEVEL|OVERRIDES|_.*)|MFLAGS|GNUMAKEFLAGS"
    r"|AWS_(DEFAULT_)?PROFILE|AWS_.*_FILE|AWS_ENDPOINT_URL.*|EC2_LOCAL|EC2_LOCAL_DIR"
)
SECRET_NAME = re.compile(
    r"(?:.*_)?(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PW|KEY|API_?KEY|CREDENTIALS?|AUTH|COOKIE|PAT|DSN)(?:_.*)?",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN |\b(?:gh[opsu]_|github_pat_|glpat-|hf_|sk-|xox[abp]-|npm_|pypi-)\w{8}"
)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The variables to carry over, by name, and the names of those that may hold a credential and stay."""

    carried: Mapping[str, str]
    left: tuple[str, ...]


def carried_variables(
    reading: Reading, environ: Mapping[str, str], *, given: Collection[str] | None, overrides: bool
) -> Environment:
    """The variables of the environment that the makefiles would otherwise set themselves.

    `given`: the names that were in the environment around make, None where not known: what a Makefile exports
    it sets there again. `overrides`: make was given -e.
    """
    names = sorted(
        name
        for name in set(_defaulted(reading.files, ASSIGNED if overrides else DEFAULTED))
        if name in environ
        and (given is None or name in given)
        and name not in OWN_VARIABLES
        and not OF_THIS_MACHINE.fullmatch(name)
        and _is_taken(name, reading.database)
    )
    left = tuple(name for name in names if may_be_secret(name, environ))
    return Environment(carried={name: environ[name] for name in names if name not in left}, left=left)


def may_be_secret(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable may hold a credential, by its name or its value; in doubt, it does."""
    return bool(
        holds_credentials(name, environ)
        or SECRET_NAME.fullmatch(name)
        or SECRET_VALUE.search(environ.get(name, ""))
    )


def _defaulted(files: Iterable[Path], pattern: re.Pattern[str]) -> Iterable[str]:
    """The names that these makefiles set in such a form; some may stand in a part that does not count."""
    for file in files:
        if file.is_file():
            text = file.read_text("utf-8", errors="surrogateescape").replace("\\\n", " ")
            yield from (next(filter(None, match.groups())) for match in pattern.finditer(text))


def _is_taken(name: str, database: str) -> bool:
    """Whether make has its value from the environment; in doubt, it has."""
    taken = rf"^# environment(?: under -e)?\n(?:define )?{re.escape(name)}[ \n]"
    return not database or re.search(taken, database, re.MULTILINE) is not None
