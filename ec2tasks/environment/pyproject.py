"""What of a pyproject.toml counts for an environment.

https://packaging.python.org/en/latest/specifications/pyproject-toml/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from ec2tasks.base.dataclass import dataclass

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Pyproject:
    """What it says: `depends` that it names dependencies, `package` that the project is one itself.

    `python`: which it needs. `dev`: it has a group of that name, which uv installs unless told otherwise.
    """

    depends: bool = False
    package: bool = False
    dev: bool = False
    python: str = ""


def read_pyproject(text: str | None) -> Pyproject:
    """What a pyproject.toml says; nothing where there is none, or one that is broken."""
    document = _document(text) if text else NOTHING
    project, tool = _table(document, "project"), _table(document, "tool")
    poetry = _table(tool, "poetry")
    builds = "build-system" in document and _table(tool, "uv").get("package") is not False
    python = project.get("requires-python") or _table(poetry, "dependencies").get("python") or ""
    package = builds and bool(project or poetry) and poetry.get("package-mode") is not False
    dynamic = project.get("dynamic")
    named = "dependencies" in project or (isinstance(dynamic, list) and "dependencies" in dynamic)
    return Pyproject(
        depends=named or (package and "dependencies" in poetry),
        package=package,
        dev="dev" in _table(document, "dependency-groups"),
        python=_specifier(str(python)),
    )


def _document(text: str) -> Mapping[str, Any]:
    # A run of a project without one does not wait for what reads it.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return NOTHING


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else NOTHING


def _specifier(text: str) -> str:
    """Poetry's `^3.10`, `~3.10`, `3.10` as the specifiers that all others read; any other as it is."""
    match = re.fullmatch(r"\s*([\^~])\s*(\d{1,9})((?:\.\d{1,9})*)\s*", text)
    if not match:
        return f"=={text.strip()}.*" if re.fullmatch(r"\s*\d+\.\d+\s*", text) else text
    sign, major, rest = match.groups()
    minor = rest.split(".")[1] if rest else "0"
    upper = f"{int(major) + 1}" if sign == "^" or not rest else f"{major}.{int(minor) + 1}"
    return f">={major}{rest},<{upper}"
