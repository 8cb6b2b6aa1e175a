"""The versions that are installed here: in the environment that is active, or the project's .venv.

They are read from the names in its folders, so that a run need not wait for pip or conda:
`NAME-VERSION.dist-info` (https://packaging.python.org/en/latest/specifications/recording-installed-packages/),
and conda's `conda-meta/NAME-VERSION-BUILD.json`.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from ec2tasks.base.dataclass import dataclass

DIST_INFO = re.compile(r"([A-Za-z0-9][A-Za-z0-9._]*)-([0-9][A-Za-z0-9.!]*)(?:\+[\w.]+)?\.dist-info")
OURS = {"pip", "setuptools", "wheel", "uv", "ec2tasks"}


@dataclass(frozen=True, kw_only=True)
class Here:
    """An environment here: `label` in words, `versions` of Python's packages by name, `builds` of conda's.

    `active`: it is, and not just there. `python`: its version, as 3.12.
    """

    kind: Literal["venv", "conda"]
    label: str
    prefix: Path
    active: bool
    python: str = ""
    versions: Mapping[str, str]
    builds: tuple[str, ...] = ()


def environment_here(root: Path, environ: Mapping[str, str]) -> Here | None:
    """The environment that is active here, else the project's .venv; None for none, or conda's `base`."""
    if venv := environ.get("VIRTUAL_ENV"):
        return _read("venv", f"the active environment {Path(venv).name}", Path(venv), active=True)
    name = environ.get("CONDA_DEFAULT_ENV", "base")
    if (prefix := environ.get("CONDA_PREFIX")) and name != "base":
        return _read("conda", f"the active conda environment {Path(name).name}", Path(prefix), active=True)
    if (root / ".venv" / "pyvenv.cfg").is_file():
        return _read("venv", ".venv here", root / ".venv", active=False)
    return None


def _read(kind: Literal["venv", "conda"], label: str, prefix: Path, *, active: bool) -> Here | None:
    sites = sorted(prefix.glob("lib/python3.*/site-packages"))
    if not sites:
        return None
    return Here(
        kind=kind,
        label=label,
        prefix=prefix,
        active=active,
        python=sites[-1].parent.name.removeprefix("python"),
        versions=dict(sorted(_versions(sites[-1]))),
        builds=tuple(sorted(path.stem for path in prefix.glob("conda-meta/*.json")))
        if kind == "conda"
        else (),
    )


def _versions(site: Path) -> Iterator[tuple[str, str]]:
    for path in site.glob("*.dist-info"):
        match = DIST_INFO.fullmatch(path.name)
        if match and normalized(match[1]) not in OURS and not (path / "direct_url.json").exists():
            yield normalized(match[1]), match[2]


def normalized(name: str) -> str:
    """A package's name as all spellings of it have in common.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned_lines(here: Here) -> list[str]:
    """Its Python packages as requirements: what `pip freeze` prints of them, the editable ones left out."""
    return [f"{name}=={version}" for name, version in here.versions.items()]


def asked_lines(here: Here) -> list[str]:
    """What was asked for in a conda environment, which fits any platform.

    It stands in conda-meta/history, which `conda env export --from-history` reads, too.
    """
    try:
        history = (here.prefix / "conda-meta" / "history").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    specs = re.findall(r"^# (?:update|create) specs: \[(.*)\]", history, re.MULTILINE)
    words: set[str] = set()
    for line in specs:
        with contextlib.suppress(ValueError, SyntaxError):
            words.update(ast.literal_eval(f"[{line}]"))
    return sorted(word.rpartition("::")[2] for word in words)


def explicit_text(here: Here) -> str:
    """A conda environment as `conda list --explicit` prints it: the addresses, for one platform."""
    lines = []
    for build in here.builds:
        package = json.loads((here.prefix / "conda-meta" / f"{build}.json").read_text(encoding="utf-8"))
        lines.append(f"{package['url']}#{package['md5']}" if package.get("md5") else package["url"])
    return "\n".join(["@EXPLICIT", *lines, ""])


def pip_lines(here: Here) -> list[str]:
    """What pip has put into a conda environment, as requirements."""
    site = here.prefix / "lib" / f"python{here.python}" / "site-packages"
    others = set()
    for path in site.glob("*.dist-info"):
        installer = path / "INSTALLER"
        if installer.is_file() and installer.read_text(encoding="utf-8", errors="replace").strip() == "conda":
            others.add(normalized(path.name.rpartition("-")[0].partition("-")[0]))
    return [f"{name}=={version}" for name, version in here.versions.items() if name not in others]
